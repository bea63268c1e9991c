/**
 * The same features with the classic mistake in them, to show what it costs.
 *
 * Historical flights come as one table with one `date` column, the departure's. Take that date as the time of the
 * delay too, join labels to it "point in time", and every feature sees the outcome of the very flight that is to be
 * predicted, and of all others still in the air. Everything but the time column is as in `features.ts`.
 */
import { col, lit, stream, t, type ViewDefinition, when } from "onefold";
import * as honest from "./features.ts";

export const arrivals = stream("arrivals", {
  columns: {
    flight: t.string(),
    departed_at: t.timestamp(),
    origin: t.string(),
    destination: t.string(),
    delay: t.int64(),
  },
  eventTime: "departed_at", // The mistake.
  id: "flight",
  derive: { late: when(col("delay").gt(15), lit(1), lit(0)) },
  require: { plausible_delay: col("delay").gte(-90) },
});

// Only training reads them: nothing needs to be kept ready for serving.
const forTrainingOnly = { online: false, offline: false } as const;

export const views: ViewDefinition[] = [
  honest.originTraffic,
  honest.destinationTraffic,
  honest.originDelays,
  honest.destinationDelays,
  honest.routeDelays,
].map((view) => ({ ...view, ...forTrainingOnly }));

export const others = [honest.origin, honest.destination, honest.route, honest.departures, honest.delayModel];
