/**
 * A world of flights for tests of monitoring: real ones, drawn at random from a month of them, so that nothing changes but
 * what a test changes. Every ten minutes of an injected clock as many depart as land; for each that lands its vector is
 * asked for.
 */
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";
import type { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import { col, count, entity, expectation, last, lit, service, stream, t, view, when } from "../../src/index.ts";
import type { Platform } from "../../src/platform.ts";
import type { SeededRandom } from "../../src/testing/random.ts";

const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;
const STEP_MINUTES = 10;
/** Of each kind, in a step. */
const FLIGHTS = 50;
const HISTORY_HOURS = 24;

const origin = entity("origin", { origin: t.string() });
const route = entity("route", { origin: t.string(), destination: t.string() });
const departures = stream("departures", {
  columns: { departed_at: t.timestamp(), origin: t.string() },
  eventTime: "departed_at",
  sla: { silence: "30m" },
});
const arrivals = stream("arrivals", {
  columns: {
    arrived_at: t.timestamp(),
    origin: t.string(),
    destination: t.string(),
    delay: t.int64(),
    daypart: t.string(),
  },
  eventTime: "arrived_at",
  derive: { late: when(col("delay").gt(15), lit("late"), lit("in time")) },
  // 3 of 600,000 do not meet it.
  expect: [expectation("delay", { range: { min: -90, max: 1440 }, tolerate: 0.01, over: "1h" })],
});
const traffic = view("traffic", {
  entity: origin,
  source: departures,
  version: 1,
  features: { departures_24h: count().over("24h") },
  sla: { pipelineAge: "5m" },
});
const landed = view("landed", {
  entity: route,
  source: arrivals,
  version: 1,
  features: { delay: last("delay"), daypart: last("daypart"), late: last("late") },
});
const flightModel = service("flight_model", { features: [traffic, landed] });
export const definitions = [origin, route, departures, arrivals, traffic, landed, flightModel];

interface Flight {
  readonly origin: string;
  readonly destination: string;
  readonly delay: number;
  readonly daypart: string;
}

/** What happens to flights that land. */
export type Change = (flight: Flight, hoursSince: number) => Flight;

/** Always the same ones. */
export async function juneFlights(count: number): Promise<readonly Flight[]> {
  const file = fileURLToPath(new URL("../data/flights-3m.parquet", import.meta.resolve("vega-datasets")));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const result = await connection.runAndReadAll(`
      SELECT origin, destination, delay::INTEGER AS delay,
             ['night', 'morning', 'afternoon', 'evening'][1 + hour(date) // 6] AS daypart
      FROM read_parquet('${file.replaceAll("'", "''")}')
      WHERE date >= TIMESTAMP '2001-06-01'
      ORDER BY md5(concat_ws('|', date, origin, destination, delay, distance)) LIMIT ${count}`);
    return result.getRowObjectsJS() as unknown as Flight[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

export interface World {
  readonly platform: Platform;
  readonly clock: ReplayClock;
  readonly random: SeededRandom;
  readonly flights: readonly Flight[];
  readonly url: string;
}

async function send(url: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Readonly<Record<string, unknown>>;
}

export { send };

/** A day of departures before the clock's time, as many as there will be. */
export async function departBefore({ platform, clock, random, flights }: World): Promise<void> {
  const total = (HISTORY_HOURS * 60 * FLIGHTS) / STEP_MINUTES;
  const now = clock.now();
  const rows = Array.from({ length: total }, (_, i) => ({
    departed_at: formatMicros((now - Math.floor(((total - i) / total) * HISTORY_HOURS * 60 * MINUTE)) as Micros),
    origin: random.pick(flights).origin,
  }));
  for (let i = 0; i < rows.length; i += 600) await platform.push("departures", rows.slice(i, i + 600));
}

/**
 * Whole hours of the world, from the full hour at which the clock stands. Alerts judge after every step while something is
 * other than usual, else three times an hour.
 */
export async function pass(
  world: World,
  hours: number,
  { change, isStopped = false }: { readonly change?: Change; readonly isStopped?: boolean } = {},
): Promise<void> {
  const { platform, clock, random, flights, url } = world;
  const start = clock.now();
  const steps = (hours * 60) / STEP_MINUTES;
  for (let step = 0; step < steps; step++) {
    clock.advanceTo((start + (step * STEP_MINUTES + STEP_MINUTES / 2) * MINUTE) as Micros);
    const at = formatMicros(clock.now());
    const drawn = (): Flight[] => Array.from({ length: FLIGHTS }, () => random.pick(flights));
    if (!isStopped)
      await send(
        `${url}/events/departures`,
        drawn().map(({ origin: from }) => ({ departed_at: at, origin: from })),
      );
    const landing = drawn().map((flight) => change?.(flight, (step * STEP_MINUTES) / 60) ?? flight);
    await send(
      `${url}/events/arrivals`,
      landing.map((flight) => ({ arrived_at: at, ...flight })),
    );
    await send(`${url}/services/flight_model/vectors`, {
      entities: landing.map(({ origin: from, destination }) => ({ origin: from, route: [from, destination] })),
    });
    const isWatched = change !== undefined || isStopped;
    if (!isWatched && step % (steps / hours / 2) !== 0 && (step + 1) % (steps / hours) !== 0) continue;
    // What was seen is written twice a minute of the machine's own clock, and whenever somebody asks.
    await platform.request("GET", "/drift?service=flight_model&baseline=last:1h&current=last:1h");
    await platform.settle();
    await judged(world, (clock.now() + MINUTE) as Micros);
  }
  clock.advanceTo((start + hours * 60 * MINUTE) as Micros);
}

/** Moves the clock on, and waits for a round of alerts that began at that time, and for the delivery of what it told. */
export async function judged(world: Pick<World, "platform" | "clock">, at: Micros): Promise<void> {
  await roundEnds(world, at);
  // The one that ended may have asked before. The next has not.
  await roundEnds(world, (at + SECOND) as Micros);
}

async function roundEnds({ platform, clock }: Pick<World, "platform" | "clock">, at: Micros): Promise<void> {
  clock.advanceTo(at);
  const alerts = platform.monitoring.alerts!;
  const end = performance.now() + 120_000;
  for (;;) {
    const { evaluated_at: evaluatedAt, undelivered } = await alerts.list();
    if (evaluatedAt !== null && evaluatedAt >= formatMicros(at) && undelivered.length === 0) return;
    if (performance.now() > end)
      throw new Error(`no round of alerts at ${formatMicros(at)}: ${JSON.stringify(undelivered)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
