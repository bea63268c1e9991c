/** What the benchmarks of the doors serve: `delay_model`, 20 features from three views of one stream. */
import { col, count, entity, last, max, mean, service, stddev, stream, sum, t, view } from "../src/index.ts";

const origin = entity("origin", { origin: t.string() });
const destination = entity("destination", { destination: t.string() });
const route = entity("route", { origin: t.string(), destination: t.string() });
export const arrivals = stream("arrivals", {
  columns: { origin: t.string(), destination: t.string(), at: t.timestamp(), delay: t.int64() },
  eventTime: "at",
});
const originDelays = view("origin_delays", {
  entity: origin,
  source: arrivals,
  features: {
    o_count_1h: count().over("1h"),
    o_count_24h: count().over("24h"),
    o_mean_1h: mean("delay").over("1h"),
    o_mean_24h: mean("delay").over("24h"),
    o_spread_24h: stddev("delay").over("24h"),
    o_worst_24h: max("delay").over("24h"),
    o_late_24h: count().where(col("delay").gt(15)).over("24h"),
    o_total: sum("delay"),
  },
});
const destinationDelays = view("destination_delays", {
  entity: destination,
  source: arrivals,
  features: {
    d_count_1h: count().over("1h"),
    d_count_24h: count().over("24h"),
    d_mean_1h: mean("delay").over("1h"),
    d_mean_24h: mean("delay").over("24h"),
    d_worst_24h: max("delay").over("24h"),
    d_late_24h: count().where(col("delay").gt(15)).over("24h"),
    d_last: last("delay"),
  },
});
const routeDelays = view("route_delays", {
  entity: route,
  source: arrivals,
  features: {
    r_count_24h: count().over("24h"),
    r_mean_24h: mean("delay").over("24h"),
    r_mean_20: mean("delay").over({ last: 20 }),
    r_worst: max("delay"),
    r_last: last("delay"),
  },
});
const delayModel = service("delay_model", { features: [originDelays, destinationDelays, routeDelays] });

export const delayDefinitions = [
  origin,
  destination,
  route,
  arrivals,
  originDelays,
  destinationDelays,
  routeDelays,
  delayModel,
];
