/**
 * Time of the fold, in one thread without any input or output: events folded on one hot entity and over
 * many, vectors of 12 features read, states encoded and decoded, sketches of a day read; and sums of 1, 10 and
 * 50 columns over three windows, in events and in reads a second, beside a loop over plain arrays in the same run.
 */
import type { Micros } from "../src/base/micros.ts";
import type {
  EntityDefinition,
  FeatureDefinition,
  StreamDefinition,
  ViewDefinition,
} from "../src/define/definition.ts";
import type { AggregationParameters } from "../src/define/aggregation-definition.ts";
import type { Expression } from "../src/define/expression.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { createReadBuffer } from "../src/fold/view-fold.ts";
import { PlainLists } from "./plain-loop.ts";
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
  parameters?: AggregationParameters,
): FeatureDefinition {
  return {
    name,
    type: fn === "mean" || fn === "stddev" || fn === "quantile" ? float64 : int64,
    aggregation: {
      fn,
      ...(fn === "count" ? {} : { column: "delay" }),
      ...(hours === null
        ? {}
        : { over: hours < 0 ? { kind: "last", events: -hours } : { kind: "time", micros: hours * HOUR } }),
      ...(where === undefined ? {} : { where }),
      ...(parameters === undefined ? {} : { parameters }),
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

/** A day of a hot entity, of thousands of different delays: what a read of one sketch over it costs. */
function measureSketch(sketch: FeatureDefinition): void {
  const sketchFold = compileViewFold({ ...view, features: [sketch] }, arrivals, airport);
  const hotSketch = sketchFold.empty();
  let time = 0;
  for (let i = 0; i < 8640; i++) {
    time = i * 20_000_000;
    const row = ["JFK", 0, ((i % 97) * (i % 89)) % 5003];
    sketchFold.fold(hotSketch, { offset: i, eventTime: time as Micros, knownTime: time as Micros, row });
  }
  const into = createReadBuffer(1);
  measure(`read of ${sketch.aggregation.fn} over 24h`, "us/read", 1000, () =>
    microsEach(500, (i) => {
      sketchFold.read(hotSketch, (time + i) as Micros, into);
      return into.statuses[0]!;
    }),
  );
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

measureSketch(feature("distinct", "countDistinct", 24));
measureSketch(feature("median", "quantile", 24, undefined, { q: 0.5 }));
measureSketch({ ...feature("top", "topK", 24, undefined, { k: 10 }), type: { name: "array", element: int64 } });

/** An event a key every ten minutes: a thousand in the longest window. */
const SUM_EVENTS = 60_000;
const SUM_ENTITIES = 25;
const SUM_GAP_MICROS = 600_000_000;
const EVENTS_PER_READ = 10;
const SUM_WINDOWS: readonly number[] = [HOUR, 24 * HOUR, 168 * HOUR];

/** What folds and reads sums: the view fold, or the loop over plain arrays. */
interface Sums {
  add(entity: number, i: number, time: number): void;
  read(entity: number, time: number): void;
  /** Bytes of all arrays that an entity's numbers lie in, with the room they have left. */
  bytes(entity: number): number;
}

/** The sum of each of `columns` columns over an hour, a day and a week: three features a column. */
function makersOfSums(columns: number): { fold: () => Sums; plain: () => Sums; seen: () => number } {
  const names = Array.from({ length: columns }, (_, i) => `x${i}`);
  const measurements: StreamDefinition = {
    ...arrivals,
    columns: [...arrivals.columns.slice(0, 2), ...names.map((name) => ({ name, type: float64, nullable: true }))],
  };
  const features = names.flatMap((column) =>
    SUM_WINDOWS.map((micros, w) => ({
      name: `${column}_${w}`,
      type: float64,
      aggregation: { fn: "sum" as const, column, over: { kind: "time" as const, micros } },
    })),
  );
  const sumFold = compileViewFold({ ...view, features }, measurements, airport);
  const rows = Array.from({ length: 256 }, (_, i) => ["JFK", 0, ...names.map((__, c) => ((i * 7919 + c) % 211) / 4)]);
  const into = createReadBuffer(features.length);
  const sums = into.values as number[];
  return {
    fold: () => {
      const states = Array.from({ length: SUM_ENTITIES }, () => sumFold.empty());
      // one for all events, as in a training replay: the loop takes its arguments without an object too
      const event = { offset: 0, eventTime: 0 as Micros, knownTime: 0 as Micros, row: rows[0]! };
      return {
        add: (entity, i, time) => {
          event.offset = i;
          event.eventTime = time as Micros;
          event.knownTime = time as Micros;
          event.row = rows[i & 255]!;
          sumFold.fold(states[entity]!, event);
        },
        read: (entity, time) => sumFold.read(states[entity]!, time as Micros, into),
        bytes: (entity) => {
          const { list, lifetime } = states[entity]!;
          return list.buckets.numbers.byteLength + list.raw.numbers.byteLength + lifetime.numbers.byteLength;
        },
      };
    },
    plain: () => {
      const lists = Array.from({ length: SUM_ENTITIES }, () => new PlainLists(columns, SUM_WINDOWS));
      return {
        add: (entity, i, time) => lists[entity]!.add(time, rows[i & 255]!, 2),
        read: (entity, time) => lists[entity]!.read(time, sums),
        bytes: (entity) => lists[entity]!.times.length * (1 + columns) * Float64Array.BYTES_PER_ELEMENT,
      };
    },
    seen: () => sums[2]!,
  };
}

/** Events a second with a read of all features for every tenth, events alone, and reads alone. */
function measureSums(make: () => Sums, seen: () => number): readonly [mixed: number, events: number, reads: number] {
  const timeOf = (i: number): number => Math.floor(i / SUM_ENTITIES) * SUM_GAP_MICROS;
  const pass = (eventsPerRead: number): [sums: Sums, perSecond: number] => {
    const sums = make();
    const began = performance.now();
    for (let i = 0; i < SUM_EVENTS; i++) {
      const entity = i % SUM_ENTITIES;
      sums.add(entity, i, timeOf(i));
      if (i % eventsPerRead !== 0) continue;
      sums.read(entity, timeOf(i));
      checksum += seen();
    }
    return [sums, (SUM_EVENTS * 1000) / (performance.now() - began)];
  };
  const [, mixed] = pass(EVENTS_PER_READ);
  const [sums, events] = pass(Number.POSITIVE_INFINITY);
  const reads = SUM_EVENTS / 50;
  const began = performance.now();
  for (let i = 0; i < reads; i++) {
    sums.read(i % SUM_ENTITIES, timeOf(SUM_EVENTS) + i);
    checksum += seen();
  }
  return [mixed, events, (reads * 1000) / (performance.now() - began)];
}

for (const columns of [1, 10, 50]) {
  const { fold: makeFold, plain: makePlain, seen } = makersOfSums(columns);
  measureSums(makeFold, seen);
  measureSums(makePlain, seen);
  const rounds = Array.from({ length: ROUNDS }, (_, i) => {
    // neither always comes first
    if (i % 2 === 0) return { fold: measureSums(makeFold, seen), plain: measureSums(makePlain, seen) };
    const plain = measureSums(makePlain, seen);
    return { fold: measureSums(makeFold, seen), plain };
  });
  for (const [i, [what, unit]] of (
    [
      ["events and reads", "events/s"],
      ["events", "events/s"],
      ["reads", "reads/s"],
    ] as const
  ).entries()) {
    report({
      bench: "fold",
      case: `${columns} features x 3 windows: ${what}`,
      unit,
      better: "higher",
      rounds: rounds.map((round) => round.fold[i]!),
      reference: { name: "plain arrays", rounds: rounds.map((round) => round.plain[i]!) },
      goal: 0.333,
    });
  }
}
/** An event every 20 seconds for eight days: what one entity of 10 features over three windows keeps in memory. */
const { fold: makeHotFold, plain: makeHotPlain } = makersOfSums(10);
const [hotFold, hotPlain] = [makeHotFold(), makeHotPlain()];
for (let i = 0; i < 8 * 4320; i++) {
  hotFold.add(0, i, i * 20_000_000);
  hotPlain.add(0, i, i * 20_000_000);
}
report({
  bench: "fold",
  case: "10 features x 3 windows: memory of a hot entity",
  unit: "bytes",
  better: "lower",
  rounds: [hotFold.bytes(0)],
  reference: { name: "plain arrays", rounds: [hotPlain.bytes(0)] },
  goal: 0.333,
});
if (!Number.isFinite(checksum)) throw new Error("the reads gave no numbers");
