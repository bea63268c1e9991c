/**
 * Case e: the workload that Feast publishes figures of (feast-benchmarks), asked by its own wire: int64 features
 * in views of ten, one int64 entity, 10,000 rows whose keys are drawn from 1 to 9,999, so that 37% of the keys
 * asked for are missing; 50 and 250 features of 1, 10 and 100 entities a request.
 *
 * Its figures (p99 of 50 features, of 1 and of 100 entities) come from its machines, not from this run: Java 0.80
 * and 17.0 ms, Go 4.3 and 22.2, Python 7.2 and 125. The goal is the best of them. Of this machine is what a bare socket takes to
 * answer the smallest of the requests with as many bytes, round by round beside them.
 */
import { systemClock } from "../../src/base/clock.ts";
import { type ColumnType, column, entity, service, stream, t, view } from "../../src/index.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { cpuMicros } from "./cpu-time.ts";
import { EmptyServer } from "./empty-server.ts";
import { type OpenLoad, type OpenLoadResult, runOpenLoop } from "./open-loop.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { CHECKED_ONE_IN } from "./plain-asker.ts";
import type { BenchRun } from "./run.ts";
import { prepareWorld, quantileOf, type World } from "./world.ts";

const FEATURES = 250;
const VIEW_FEATURES = 10;
const ROWS = 10_000;
const KEY_MAX = 9999;
/** Theirs are 10 to 100 a second. */
const REQUESTS_PER_SECOND = 50;
const FEATURE_COUNTS = [50, 250] as const;
const ENTITY_COUNTS = [1, 10, 100] as const;
const SMALLEST = { features: FEATURE_COUNTS[0], entities: ENTITY_COUNTS[0] } as const;
const JAVA_P99_MS: Readonly<Record<string, number>> = { "50x1": 0.8, "50x100": 17 };

const item = entity("item", { entity: t.int64() });
const columnNames = Array.from({ length: FEATURES }, (_, i) => `feature_${i}`);
const rows = stream("rows", {
  columns: { entity: t.int64(), event_timestamp: t.timestamp(), ...typed(columnNames) },
  eventTime: "event_timestamp",
});
const views = Array.from({ length: FEATURES / VIEW_FEATURES }, (_, i) => {
  const names = columnNames.slice(i * VIEW_FEATURES, (i + 1) * VIEW_FEATURES);
  const features = Object.fromEntries(names.map((name) => [name, column(name)]));
  return view(`feature_view_${i}`, { entity: item, source: rows, ttl: "1d", features });
});
const services = FEATURE_COUNTS.map((count) =>
  service(`features_${count}`, { features: views.slice(0, count / VIEW_FEATURES) }),
);

function typed(names: readonly string[]): Record<string, ColumnType<"int64", false>> {
  return Object.fromEntries(names.map((name) => [name, t.int64()]));
}

export async function feastReads(bench: BenchRun): Promise<void> {
  const { rounds, seconds } = bench.size;
  const columns = columnNames.map((name, i) => `(hash(n, ${i}) % 1000)::BIGINT AS ${name}`).join(", ");
  const historySql = `
    SELECT (1 + hash(n, -1) % ${KEY_MAX})::BIGINT AS entity,
      make_timestamptz(${systemClock.now()} - 1 - (hash(n, -2) % 3600000000)::BIGINT) AS event_timestamp, ${columns}
    FROM range(${ROWS}) r(n)`;
  const definitions = [item, rows, ...views, ...services];
  const world = await prepareWorld({ name: "feast", folder: bench.folder, definitions, historySql });
  const present = world.stored[0]!.states;
  const missing = 100 * (1 - present / KEY_MAX);
  bench.report({ case: "e-keys-missing", unit: "% of keys", better: "higher", rounds: [missing], goal: 36 });
  const p99s = new Map<string, number[]>();
  const cpus = new Map<string, number[]>();
  const lateness: number[] = [];
  const empty: number[] = [];
  const seen: SeenReply[] = [];
  let replies = 0;
  await bench.serving(world, async ({ httpPort, pid }) => {
    const { kept: first } = await runOpenLoop({
      port: httpPort,
      ...loadOf(world, { ...SMALLEST, seconds, seed: rounds }),
    });
    const emptyServer = await EmptyServer.start(first[0]!.answerBytes);
    for (let round = -1; round < rounds; round++) {
      for (const features of FEATURE_COUNTS) {
        for (const entities of ENTITY_COUNTS) {
          const load = { features, entities, seconds, seed: round };
          const before = cpuMicros(pid);
          const { latenciesMs, answered, kept, latenessP99Ms } = await measure(httpPort, world, load);
          const after = cpuMicros(pid);
          // The first round warms up.
          if (round < 0) continue;
          const name = `${features}x${entities}`;
          p99s.set(name, [...(p99s.get(name) ?? []), quantileOf(latenciesMs, 0.99)]);
          if (before !== null && after !== null)
            cpus.set(name, [...(cpus.get(name) ?? []), (after - before) / answered]);
          lateness.push(latenessP99Ms);
          replies += answered * entities;
          seen.push(...kept);
        }
      }
      const beside = await emptyServer.ask(loadOf(world, { ...SMALLEST, seconds, seed: round }));
      if (round >= 0) empty.push(quantileOf(beside.latenciesMs, 0.99));
    }
    emptyServer.stop();
  });
  for (const [name, measured] of p99s) {
    const best = JAVA_P99_MS[name];
    const goal = best === undefined ? {} : { goal: best };
    bench.report({ case: `e-${name}-p99`, unit: "ms", better: "lower", rounds: measured, ...goal });
  }
  bench.report({ case: "e-empty-answer-p99", unit: "ms", better: "lower", rounds: empty });
  bench.report({ case: "e-sender-late-p99", unit: "ms", better: "lower", rounds: lateness });
  for (const [name, measured] of cpus) {
    bench.report({ case: `e-${name}-cpu`, unit: "us of CPU a request", better: "lower", rounds: measured });
  }
  bench.reportChecked("e", await checkReplies(world, seen, []), replies);
}

interface FeastLoad {
  readonly features: number;
  readonly entities: number;
  readonly seconds: number;
  readonly seed: number;
}

type Keys = readonly (readonly number[])[];

function loadOf(
  { services }: World,
  { features, entities, seconds, seed }: FeastLoad,
): Omit<OpenLoad, "port"> & { readonly service: ServiceDefinition; readonly keys: Keys } {
  const service = services.find((one) => one.features.length === features)!;
  const asked = JSON.stringify(service.features.map(({ view, feature }) => `${view}:${feature}`));
  const random = new SeededRandom(seed);
  const count = Math.ceil(REQUESTS_PER_SECOND * seconds);
  const keys = Array.from({ length: count }, () => Array.from({ length: entities }, () => random.integer(1, KEY_MAX)));
  const request = (n: number): { path: string; body: string } => ({
    path: "/get-online-features",
    body: `{"features":${asked},"entities":{"entity":[${keys[n]!.join(",")}]}}`,
  });
  return { service, keys, request, requestsPerSecond: REQUESTS_PER_SECOND, seconds, keptOneIn: CHECKED_ONE_IN };
}

async function measure(
  port: number,
  world: World,
  asked: FeastLoad,
): Promise<Omit<OpenLoadResult, "kept"> & { readonly kept: readonly SeenReply[] }> {
  const { service, keys, ...load } = loadOf(world, asked);
  const { kept, ...measured } = await runOpenLoop({ port, ...load });
  const replies = kept.flatMap(({ n, body, askedAt, heardAt }) => {
    const { metadata, results } = JSON.parse(body) as FeastAnswer;
    const columns = service.features.map(({ feature }) => results[metadata.feature_names.indexOf(feature)]!.values);
    return keys[n]!.map((key, row): SeenReply => {
      return { key, service: service.name, values: columns.map((values) => values[row]!), askedAt, heardAt };
    });
  });
  return { ...measured, kept: replies };
}

interface FeastAnswer {
  readonly metadata: { readonly feature_names: readonly string[] };
  readonly results: readonly { readonly values: readonly Value[] }[];
}
