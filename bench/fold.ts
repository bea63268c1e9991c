/**
 * Time of the fold, in one thread without any input or output: events folded on one hot entity and over
 * many, vectors of 12 features read, states encoded and decoded.
 */
import { type Micros } from "../src/base/micros.ts";
import {
  type EntityDefinition,
  type FeatureDefinition,
  type StreamDefinition,
  type ViewDefinition,
} from "../src/define/definition.ts";
import { type Expression } from "../src/define/expression.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { createReadBuffer } from "../src/fold/view-fold.ts";
import { report } from "./report.ts";

const HOUR = 3_600_000_000;
const int64 = { name: "int64" } as const;
const float64 = { name: "float64" } as const;
const isLate: Expression = { op: "gt", left: { op: "column", name: "delay" }, right: { op: "literal", value: 15 } };

const airport: EntityDefinition = {
  kind: "entity",
  name: "airport",
  keys: [{ name: "airport", type: { name: "string" } }],
};
const arrivals: StreamDefinition = {
  kind: "stream",
  name: "arrivals",
  columns: [
    { name: "origin", type: { name: "string" }, nullable: false },
    { name: "at", type: { name: "timestamp" }, nullable: false },
    { name: "delay", type: int64, nullable: true },
  ],
  derived: [],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60_000_000,
  dedupeWithinMicros: 168 * HOUR,
  availableAfterMicros: 0,
};

function feature(
  name: string,
  fn: FeatureDefinition["aggregation"]["fn"],
  hours: number | null,
  where?: Expression,
): FeatureDefinition {
  return {
    name,
    type: fn === "mean" || fn === "stddev" ? float64 : int64,
    aggregation: {
      fn,
      ...(fn === "count" ? {} : { column: "delay" }),
      ...(hours === null
        ? {}
        : { over: hours < 0 ? { kind: "last", events: -hours } : { kind: "time", micros: hours * HOUR } }),
      ...(where === undefined ? {} : { where }),
    },
  };
}

const view: ViewDefinition = {
  kind: "view",
  name: "origin_delays",
  version: 1,
  entity: "airport",
  source: "arrivals",
  key: ["origin"],
  features: [
    feature("flights_1h", "count", 1),
    feature("mean_1h", "mean", 1),
    feature("late_1h", "count", 1, isLate),
    feature("flights_24h", "count", 24),
    feature("mean_24h", "mean", 24),
    feature("worst_24h", "max", 24),
    feature("late_24h", "count", 24, isLate),
    feature("mean_7d", "mean", 168),
    feature("spread_7d", "stddev", 168),
    feature("mean_last_20", "mean", -20),
    feature("flights", "count", null),
    feature("mean", "mean", null),
  ],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};

const fold = compileViewFold(view, arrivals, airport);
const EVENTS = 500_000;

/** Events of `entities` keys in turn, `gapMicros` apart for each key, delays from a fixed sequence. */
function foldAll(
  entities: number,
  gapMicros: number,
): { states: ReturnType<typeof fold.empty>[]; elapsedMs: number; end: number } {
  const states = Array.from({ length: entities }, () => fold.empty());
  const rows = Array.from({ length: 1024 }, (_, i) => ["JFK", 0, ((i * 7919) % 211) - 30]);
  const began = performance.now();
  let time = 0;
  for (let i = 0; i < EVENTS; i++) {
    time = Math.floor((i * gapMicros) / entities);
    fold.fold(states[i % entities]!, {
      offset: i,
      eventTime: time as Micros,
      knownTime: time as Micros,
      row: rows[i & 1023]!,
    });
  }
  return { states, elapsedMs: performance.now() - began, end: time };
}

const hot = foldAll(1, 20_000_000);
const buffer = createReadBuffer(view.features.length);
const hotBytes = fold.encode(hot.states[0]!);
let checksum = 0;

function microsEach(times: number, work: (i: number) => number): number {
  const began = performance.now();
  for (let i = 0; i < times; i++) checksum += work(i);
  return ((performance.now() - began) * 1000) / times;
}

const ROUNDS = 5;

function measure(name: string, unit: string, goal: number, run: () => number): void {
  run();
  const rounds = Array.from({ length: ROUNDS }, run);
  report({ bench: "fold", case: name, unit, better: "lower", rounds, goal });
}

const state = hot.states[0]!;
if (!process.argv.includes("--json")) {
  const { bucketCount, rawCount } = state.list;
  console.log(`a hot state: ${bucketCount} buckets, ${rawCount} raw records, ${hotBytes.length} bytes`);
}
measure("hot-entity", "us/event", 1, () => (foldAll(1, 20_000_000).elapsedMs * 1000) / EVENTS);
measure("1000-entities", "us/event", 1, () => (foldAll(1000, 600_000_000).elapsedMs * 1000) / EVENTS);
measure("read", "us/vector", 5, () =>
  microsEach(100_000, (i) => {
    fold.read(state, (hot.end + i) as Micros, buffer);
    return buffer.values[0] as number;
  }),
);
measure("encode", "us/state", 10, () => microsEach(20_000, () => fold.encode(state).length));
measure("decode", "us/state", 10, () => microsEach(20_000, () => fold.decode(hotBytes).eventCount));
if (!Number.isFinite(checksum)) throw new Error("the reads gave no numbers");
