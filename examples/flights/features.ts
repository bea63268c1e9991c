/**
 * The features of a model that predicts, when a flight leaves, whether it will arrive more than 15 minutes late.
 *
 * A flight is two events. Its departure is known at once; its delay only when it has landed, hours later. The
 * views below fold each stream by origin airport, by destination airport and by route, and `delay_model` is the
 * list of features that the model reads.
 */
import { col, count, entity, lit, max, mean, service, stddev, stream, t, view, when } from "onefold";

export const origin = entity("origin", { origin: t.string() }, { description: "Airport a flight leaves from" });
export const destination = entity(
  "destination",
  { destination: t.string() },
  { description: "Airport a flight goes to" },
);
export const route = entity(
  "route",
  { origin: t.string(), destination: t.string() },
  { description: "Origin and destination, in this direction" },
);

export const departures = stream("departures", {
  description: "A flight left the gate",
  columns: {
    flight: t.string().describe("Hash of the row: the data has no flight numbers"),
    departed_at: t.timestamp().describe("Local time of the origin"),
    origin: t.string(),
    destination: t.string(),
  },
  eventTime: "departed_at",
  id: "flight",
  // Read by `onefold worker` alone; embedded, events are pushed. The id is of the whole row, so it has one key.
  kafka: { topic: "flights-departures", knownTime: "record", ids: "entity" },
});

export const arrivals = stream("arrivals", {
  description: "A flight landed; only now is its delay known",
  columns: {
    flight: t.string(),
    departed_at: t.timestamp(),
    arrived_at: t.timestamp().describe("Estimated: see docs/demo.md"),
    origin: t.string(),
    destination: t.string(),
    delay: t.int64().describe("Minutes; negative where early"),
  },
  eventTime: "arrived_at",
  id: "flight",
  kafka: { topic: "flights-arrivals", knownTime: "record", ids: "entity" },
  derive: { late: when(col("delay").gt(15), lit(1), lit(0)) },
  require: { plausible_delay: col("delay").gte(-90) },
});

export const originTraffic = view("origin_traffic", {
  description: "How busy the origin is",
  entity: origin,
  source: departures,
  features: {
    departures_1h: count().over("1h"),
    departures_3h: count().over("3h"),
    departures_24h: count().over("24h"),
  },
});

export const destinationTraffic = view("destination_traffic", {
  description: "How many flights have set off for the destination",
  entity: destination,
  source: departures,
  features: {
    inbound_1h: count().over("1h"),
    inbound_3h: count().over("3h"),
  },
});

export const originDelays = view("origin_delays", {
  description: "How late the flights that left this airport have been",
  entity: origin,
  source: arrivals,
  features: {
    mean_delay_1h: mean("delay").over("1h"),
    mean_delay_3h: mean("delay").over("3h"),
    mean_delay_24h: mean("delay").over("24h"),
    mean_delay_7d: mean("delay").over("7d"),
    late_share_1h: mean("late").over("1h"),
    late_share_3h: mean("late").over("3h"),
    worst_delay_3h: max("delay").over("3h"),
    delay_spread_3h: stddev("delay").over("3h"),
    mean_delay_last_20: mean("delay").over({ last: 20 }),
    late_share: mean("late"),
  },
});

export const destinationDelays = view("destination_delays", {
  description: "How late the flights into this airport have been",
  entity: destination,
  source: arrivals,
  features: {
    landings_1h: count().over("1h"),
    mean_delay_1h: mean("delay").over("1h"),
    mean_delay_3h: mean("delay").over("3h"),
    late_share_3h: mean("late").over("3h"),
    late_share_24h: mean("late").over("24h"),
    worst_delay_3h: max("delay").over("3h"),
    mean_delay_last_20: mean("delay").over({ last: 20 }),
    late_share: mean("late"),
  },
});

export const routeDelays = view("route_delays", {
  description: "How late this very route has been",
  entity: route,
  source: arrivals,
  features: {
    landings_7d: count().over("7d"),
    mean_delay_3h: mean("delay").over("3h"),
    mean_delay_24h: mean("delay").over("24h"),
    worst_delay_24h: max("delay").over("24h"),
    late_share_7d: mean("late").over("7d"),
    delay_spread_7d: stddev("delay").over("7d"),
    mean_delay_last_20: mean("delay").over({ last: 20 }),
    late_share: mean("late"),
  },
});

export const delayModel = service("delay_model", {
  description: "What the delay model reads when a flight leaves",
  features: [
    originTraffic.prefix("origin_"),
    originDelays.prefix("origin_"),
    destinationTraffic.prefix("destination_"),
    destinationDelays.prefix("destination_"),
    routeDelays.prefix("route_"),
  ],
});
