/** What a backfill is said to take where few entities have most of the events: the draw may hit none of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { compileViewFold } from "../../src/fold/compile.ts";
import { estimateBackfill } from "../../src/ingest/backfill-cost.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import { airport, airportFlights, definitions, flights } from "../training/flights.ts";
import { START, TrainingWorld } from "../training/training-world.ts";

const EVENTS = 201_000;

let world: TrainingWorld;
beforeAll(async () => {
  world = await TrainingWorld.open(definitions);
});
afterAll(() => world.close());

it("is of at least one entity, also where the draw hits none", async () => {
  const archive = await world.archive("flights");
  const every = Math.ceil(EVENTS / 100_000);
  const [missed] = await world.engine.rows(
    `SELECT 'k' || i AS key FROM range(100) r(i) WHERE hash('k' || i) % ${every} <> 0 LIMIT 1`,
  );
  const key = String(missed!["key"]);
  const values: Readonly<Record<string, string>> = {
    origin: `'${key}'`,
    destination: "'Z'",
    delay: "(i % 40)::DOUBLE",
  };
  const columns = archive.columns.map(({ name }) => {
    if (name === "_offset") return `${HISTORY_BASE} + i AS _offset`;
    if (["at", "_event_time", "_known_time"].includes(name)) return `make_timestamptz(${START} + i) AS "${name}"`;
    return `${values[name] ?? "NULL"} AS "${name}"`;
  });
  await archive.appendHistory(await archive.files(), {
    engine: world.engine,
    select: `SELECT ${columns.join(", ")} FROM range(${EVENTS}) r(i)`,
    firstKnownTime: START,
    lastKnownTime: START + EVENTS - 1,
  });
  const files = await archive.files();
  const view = { definition: airportFlights, fold: compileViewFold(airportFlights, flights, airport) };
  const cost = await estimateBackfill({ source: flights, view, files, engine: world.engine });
  expect(cost).toMatchObject({ events: EVENTS, entities: 1, trialEntities: 1 });
  expect(cost.stateBytes).toBeGreaterThan(0);
  expect(cost.seconds).toBeGreaterThan(0.05);
});
