/**
 * Case f: bytes stored a feature value, over entities times ten features: in LMDB, what its file takes on disk, keys,
 * pages half full and all; on Redis, the memory of a server that has nothing else. The windowed features of cases a and
 * b, with 1, 20 and 500 events an entity spread over 7 days; and ten last values, as the figure beside it is of (112
 * bytes a value, Feast's on Redis).
 */
import { systemClock } from "../../src/base/clock.ts";
import { type Micros, MICROS_PER_DAY } from "../../src/base/micros.ts";
import { column, entity, service, stream, t, view } from "../../src/index.ts";
import { POINT_DAYS, pointDefinitions } from "./payments.ts";
import type { BenchRun } from "./run.ts";
import { redisBytes } from "./redis-memory.ts";
import { prepareWorld, quantileOf, removeWorld } from "./world.ts";

const FEATURES = 10;
/** What ten last values may take to be no more than what Feast takes on Redis. */
const LAST_VALUE_BYTES_MAX = 112;
const ONE_EVENT_BYTES_MAX = 40;

const names = Array.from({ length: FEATURES }, (_, i) => `value_${i}`);
const thing = entity("thing", { thing: t.string() });
const readings = stream("readings", {
  columns: {
    thing: t.string(),
    at: t.timestamp(),
    ...(Object.fromEntries(names.map((name) => [name, t.float64()])) as Record<string, ReturnType<typeof t.float64>>),
  },
  eventTime: "at",
});
const newest = view("newest", {
  entity: thing,
  source: readings,
  features: Object.fromEntries(names.map((name) => [name, column(name)])),
});
const lastDefinitions = [thing, readings, newest, service("newest_values", { features: [newest] })];

export async function storedBytes(bench: BenchRun): Promise<void> {
  const now = systemClock.now();
  const [one, twenty, fiveHundred] = bench.size.storedEntities;
  const values = names.map((name, i) => `hash(id, ${i}) % 100000 / 100.0 AS ${name}`).join(", ");
  const lastSql = `SELECT printf('t%012d', id) AS thing, make_timestamptz(${now} - 1) AS "at", ${values} FROM range(${one}) r(id)`;
  await measure("f-last-values", lastDefinitions, lastSql, one, LAST_VALUE_BYTES_MAX);
  await measure("f-1-event", pointDefinitions, paymentsSql(one, 1, now), one, ONE_EVENT_BYTES_MAX);
  await measure("f-20-events", pointDefinitions, paymentsSql(twenty, 20, now), twenty);
  await measure("f-500-events", pointDefinitions, paymentsSql(fiveHundred, 500, now), fiveHundred);

  async function measure(
    name: string,
    definitions: typeof pointDefinitions,
    historySql: string,
    entities: number,
    goal?: number,
  ): Promise<void> {
    const world = await prepareWorld({ name, folder: bench.folder, definitions, historySql });
    for (const { view, states, stateBytes, buckets } of world.stored) {
      const perValue = (stateBytes / states / (FEATURES / world.stored.length)).toFixed(1);
      console.error(`${name}: ${states} states of ${view}, ${perValue} bytes a value before LMDB,`);
      console.error(`${name}: median ${quantileOf(buckets, 0.5)} buckets`);
    }
    const perValue = world.onlineBytes / (entities * FEATURES);
    const judged = goal === undefined ? {} : { goal };
    bench.report({ case: name, unit: "bytes a value", better: "lower", rounds: [perValue], ...judged });
    if (bench.hasRedis) {
      const rounds = [(await redisBytes(world)) / (entities * FEATURES)];
      bench.report({ case: `${name}-redis`, unit: "bytes a value", better: "lower", rounds, ...judged });
    }
    await removeWorld(world);
  }
}

/** So many events of each account, at random over the days before `now`. */
function paymentsSql(accounts: number, events: number, now: Micros): string {
  const span = POINT_DAYS * MICROS_PER_DAY;
  return `
    SELECT printf('a%012d', id) AS account, make_timestamptz(${now} - 1 - (hash(id, n, 3) % ${span})::BIGINT) AS "at",
      ((hash(id, n, 4) % 20000) + 1)::DOUBLE / 100 AS amount, hash(id, n, 5) % 10 = 0 AS declined
    FROM range(${accounts}) r(id), range(${events}) s(n)`;
}
