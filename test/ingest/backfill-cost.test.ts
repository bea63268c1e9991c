/** What a backfill is said to take where few entities have most of the events: of those the draw may hit none, or one first. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { compileViewFold } from "../../src/fold/compile.ts";
import { type BackfillCost, estimateBackfill } from "../../src/ingest/backfill-cost.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import { airport, airportFlights, definitions, flights } from "../training/flights.ts";
import { START, TrainingWorld } from "../training/training-world.ts";

let world: TrainingWorld;
beforeEach(async () => {
  world = await TrainingWorld.open(definitions);
});
afterEach(() => world.close());

/** `origin` in SQL, of event `i`. */
async function costOf(
  events: number,
  origin: string,
  heard: (engine: QueryEngine) => QueryEngine = (engine) => engine,
): Promise<BackfillCost> {
  const archive = await world.archive("flights");
  const values: Readonly<Record<string, string>> = { origin, destination: "'Z'", delay: "(i % 40)::DOUBLE" };
  const columns = archive.columns.map(({ name }) => {
    if (name === "_offset") return `${HISTORY_BASE} + i AS _offset`;
    if (["at", "_event_time", "_known_time"].includes(name)) return `make_timestamptz(${START} + i) AS "${name}"`;
    return `${values[name] ?? "NULL"} AS "${name}"`;
  });
  await archive.appendHistory(await archive.files(), {
    engine: world.engine,
    select: `SELECT ${columns.join(", ")} FROM range(${events}) r(i)`,
    firstKnownTime: START,
    lastKnownTime: START + events - 1,
  });
  const files = await archive.files();
  const view = { definition: airportFlights, fold: compileViewFold(airportFlights, flights, airport) };
  return estimateBackfill({ source: flights, view, files, engine: heard(world.engine) });
}

/** The first of `a0`, `a1`, ... that is drawn of so many events, or is not. */
async function keyThatIs(drawn: boolean, events: number): Promise<string> {
  const every = Math.ceil(events / 100_000);
  const [row] = await world.engine.rows(
    `SELECT 'a' || i AS key FROM range(100) r(i) WHERE hash('a' || i) % ${every} ${drawn ? "=" : "<>"} 0 LIMIT 1`,
  );
  return String(row!["key"]);
}

it("is of at least one entity, also where the draw hits none", async () => {
  const events = 201_000;
  const cost = await costOf(events, `'${await keyThatIs(false, events)}'`);
  expect(cost).toMatchObject({ events, entities: 1, isApproximate: false, trialEntities: 1 });
  expect(cost.stateBytes).toBeGreaterThan(0);
  expect(cost.seconds).toBeGreaterThan(0);
});

it("is of all entities that are drawn, also where one of them has more events than a trial folds", async () => {
  const [events, hot, cold] = [451_000, 450_000, 50];
  const key = await keyThatIs(true, events);
  const cost = await costOf(events, `CASE WHEN i < ${hot} THEN '${key}' ELSE 'b' || (i % ${cold}) END`);
  const [row] = await world.engine.rows(`SELECT count(*)::DOUBLE AS drawn
    FROM range(${cold}) r(i) WHERE hash('b' || i) % ${Math.ceil(events / 100_000)} = 0`);
  const drawn = Number(row!["drawn"]);
  expect(drawn).toBeGreaterThan(1);
  expect(cost).toMatchObject({ events, entities: cold + 1, trialEntities: drawn + 1 });
});

it("holds few of many keys, whose number it tells within some percent", async () => {
  const events = 1_300_000;
  const sql: string[] = [];
  const cost = await costOf(events, "'c' || (i % 1200000)", (engine) => ({
    ...engine,
    run: (statement) => {
      sql.push(statement);
      return engine.run(statement);
    },
    rows: (statement) => {
      sql.push(statement);
      return engine.rows(statement);
    },
    stream: (...args) => engine.stream(...args),
    fill: (...args) => engine.fill(...args),
    interrupt: () => engine.interrupt(),
    close: () => engine.close(),
  }));
  expect(cost).toMatchObject({ events, isApproximate: true });
  expect(Math.abs(cost.entities / 1_200_000 - 1)).toBeLessThan(0.05);
  // What groups or counts keys does so of a part of them: else it would take memory for all.
  for (const statement of sql.filter((each) => /GROUP BY _key|DISTINCT _key/.test(each))) {
    expect(statement).toMatch(/hash\(_key\) % \d+ = 0|arg_min/);
  }
});
