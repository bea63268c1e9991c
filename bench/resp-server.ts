/**
 * The server of the RESP benchmark, a process of its own so that it can have a core of its own: a platform in a
 * folder of its own, with the vectors of 20 features that `serving` reads. Prints its port, and serves until
 * its standard input ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND, parseMicros } from "../src/base/micros.ts";
import { col, count, entity, last, max, mean, service, stddev, stream, sum, t, view } from "../src/index.ts";
import { openPlatform } from "../src/platform.ts";

const AIRPORTS = Number(process.argv[2]);
const EVENTS = 100_000;
const ROWS_PER_PUSH = 5000;

const origin = entity("origin", { origin: t.string() });
const destination = entity("destination", { destination: t.string() });
const route = entity("route", { origin: t.string(), destination: t.string() });
const arrivals = stream("arrivals", {
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
const definitions = [origin, destination, route, arrivals, originDelays, destinationDelays, routeDelays, delayModel];

const dataDir = await mkdtemp(join(tmpdir(), "onefold-bench-"));
const clock = new ReplayClock(parseMicros("2001-06-01T00:00:00Z"));
const platform = await openPlatform({ dataDir, clock, definitions });
await platform.apply(definitions);
let seed = 1;
const random = (below: number): number => Math.floor((below * (seed = (seed * 48271) % 2147483647)) / 2147483647);
/** As `redis-benchmark` writes a random number. */
const airport = (): string => `A${String(random(AIRPORTS)).padStart(12, "0")}`;
for (let events = 0; events < EVENTS; events += ROWS_PER_PUSH) {
  const rows = Array.from({ length: ROWS_PER_PUSH }, () => {
    clock.advanceTo((clock.now() + MICROS_PER_SECOND) as Micros);
    return { origin: airport(), destination: airport(), at: { micros: clock.now() }, delay: random(60) - 10 };
  });
  await platform.push("arrivals", rows);
}
await platform.settle();
const door = await platform.serveResp({ port: 0 });
process.stdout.write(`${door.port}\n`);
process.stdin.resume().once("end", async () => {
  await door.close();
  await platform.close();
  await rm(dataDir, { recursive: true, force: true });
});
