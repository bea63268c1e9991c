/** Random views from a seed: every aggregation over every kind of window, with and without a condition. */
import {
  type DurationMicros,
  MICROS_PER_DAY as DAY,
  MICROS_PER_HOUR as HOUR,
  MICROS_PER_SECOND as SECOND,
} from "../base/micros.ts";
import type { Aggregation, AggregationName, CustomAggregation, Window } from "../define/aggregation-definition.ts";
import type { FeatureDefinition, ViewDefinition } from "../define/definition.ts";
import type { Expression } from "../define/expression.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { col, generatedSource, lit, type } from "./generated-source.ts";
import type { SeededRandom } from "./random.ts";

const PREDICATES: readonly Expression[] = [
  { op: "gt", left: col("items"), right: lit(2) },
  { op: "eq", left: col("bulk"), right: lit(true) },
  { op: "and", left: col("abroad"), right: { op: "lt", left: col("amount"), right: lit(10.5) } },
  { op: "or", left: { op: "isNull", input: col("amount") }, right: col("abroad") },
  { op: "in", input: col("shop"), values: ["a", "b"] },
  { op: "not", input: { op: "eq", left: col("shop"), right: lit("c") } },
  { op: "gte", left: { op: "hour", input: col("at") }, right: lit(12) },
  // throws where items times this leaves the safe range
  { op: "gte", left: { op: "multiply", left: col("items"), right: lit(2 ** 40) }, right: lit(0) },
];

/** Commutative, so that a late event gives the same state wherever it is merged in. */
const LARGEST_TWO: CustomAggregation = {
  name: "largest_two",
  output: type("int64"),
  empty: () => ({ top: [], seen: 0 }),
  add: (state, input) => addToLargest(state as LargestTwo, [input as number], 1),
  merge: (earlier, later) => addToLargest(earlier as LargestTwo, (later as LargestTwo).top, (later as LargestTwo).seen),
  read: (state) => {
    const { top, seen } = state as LargestTwo;
    return top.length < 2 ? null : (top[0]! % 1000) + (top[1]! % 1000) + seen * 10_000;
  },
};

interface LargestTwo {
  readonly top: readonly number[];
  readonly seen: number;
}

function addToLargest(state: LargestTwo, more: readonly number[], seen: number): LargestTwo {
  const top = [...state.top, ...more].sort((a, b) => b - a).slice(0, 2);
  return { top, seen: state.seen + seen };
}

/** Over whole rows; throws while adding for one shop, and while reading for some states. */
const MOODY: CustomAggregation = {
  name: "moody",
  output: type("float64"),
  empty: () => 0,
  add: (state, input) => {
    const row = input as Readonly<Record<string, Value>>;
    if (row["shop"] === "moody") throw new Error("not today");
    return (state as number) + (row["abroad"] === true ? 1 : 0);
  },
  merge: (earlier, later) => (earlier as number) + (later as number),
  read: (state) => {
    if ((state as number) % 7 === 5) throw new Error("not this one");
    return state as number;
  },
};

const WINDOWS: readonly number[] = [
  40_000,
  SECOND,
  30 * SECOND,
  90 * SECOND,
  10 * 60 * SECOND,
  HOUR,
  3 * HOUR,
  DAY,
  7 * DAY,
  90 * DAY,
];

const COLUMN_TYPES: ReadonlyMap<string, ValueType> = new Map(
  [...generatedSource.columns, ...generatedSource.derived].map((column) => [column.name, column.type]),
);

/**
 * Those of `randomView`'s features; `sessions` are both others, `countSessions`, `topCounts` and `topOther`, mostly
 * over session windows.
 * `basic` and `summaries` draw as they always did, so that old seeds mean what they meant.
 */
export type GeneratedAggregations = "basic" | "summaries" | "sessions";

export function randomView(random: SeededRandom, aggregations: GeneratedAggregations = "basic"): ViewDefinition {
  const count = random.integer(1, 8);
  const windows = Array.from({ length: random.integer(1, 3) }, () => random.pick(WINDOWS));
  return {
    kind: "view",
    name: "spending",
    version: 1,
    entity: "account",
    source: "payments",
    key: ["account"],
    features: Array.from({ length: count }, (_, i) => randomFeature(random, `f${i}`, windows, aggregations)),
    online: true,
    offline: true,
    freshness: "real-time",
    exactEvents: random.pick([0, 1, 3, 8, 16, 128, 128]),
    ...(random.oneIn(5) ? { ttlMicros: random.pick([SECOND, HOUR, DAY]) } : {}),
    ...(random.oneIn(6) ? { forgetAfterMicros: random.pick([HOUR, 2 * DAY]) } : {}),
  };
}

function randomFeature(
  random: SeededRandom,
  name: string,
  windows: readonly number[],
  aggregations: GeneratedAggregations,
): FeatureDefinition {
  const over = aggregations === "sessions" && !random.oneIn(3) ? randomSession(random) : randomWindow(random, windows);
  const where = random.oneIn(3) ? random.pick(PREDICATES) : undefined;
  const shape = { ...(over === undefined ? {} : { over }), ...(where === undefined ? {} : { where }) };
  const { aggregation, result } = DRAW[aggregations](random, shape);
  const isNumber = result.name === "int64" || result.name === "float64";
  return {
    name,
    type: result,
    aggregation,
    ...(isNumber && result.name === "float64" && random.oneIn(6) ? { default: -1 } : {}),
    ...(random.oneIn(8) ? { ttlMicros: random.pick([30 * SECOND, 2 * HOUR]) } : {}),
  };
}

function randomWindow(random: SeededRandom, windows: readonly number[]): Window | undefined {
  const draw = random.integer(0, 9);
  if (draw < 2) return undefined;
  if (draw < 4) return { kind: "last", events: random.pick([1, 2, 5, 20, 150]) };
  return { kind: "time", micros: random.pick(windows) };
}

const GAPS: readonly number[] = [300, 30_000, SECOND, 30 * SECOND, 5 * 60 * SECOND, HOUR, 6 * HOUR];

/** Gaps of about the pace of some sequences of events, and how far they reach: shorter and longer than most sessions. */
function randomSession(random: SeededRandom): Window {
  const gapMicros = random.pick(GAPS);
  return { kind: "session", gapMicros, maxMicros: gapMicros * random.pick([1, 3, 10, 60, 61, 300, 5000]) };
}

type Draw = (
  random: SeededRandom,
  shape: Pick<Aggregation, "over" | "where">,
) => { aggregation: Aggregation; result: ValueType };

const DRAW: Readonly<Record<GeneratedAggregations, Draw>> = {
  basic: randomAggregation,
  summaries: randomSummary,
  sessions: (random, shape) => {
    if (random.oneIn(2)) return randomAggregation(random, shape);
    if (random.oneIn(2)) return randomSummary(random, shape);
    if (random.oneIn(3)) return randomTop(random, shape);
    const column = random.oneIn(4) ? { column: "shop" } : {};
    const parameters = { gapMicros: random.pick([300, 300, 30_000, SECOND, ...GAPS]) };
    // over all time most often: only there are sessions enough for an event to come too late
    const { over: _, ...overAll } = shape;
    const shaped = random.oneIn(3) ? shape : overAll;
    return { aggregation: { fn: "countSessions", ...column, parameters, ...shaped }, result: type("int64") };
  },
};

function randomTop(
  random: SeededRandom,
  shape: Pick<Aggregation, "over" | "where">,
): { aggregation: Aggregation; result: ValueType } {
  const fn = random.pick<"topCounts" | "topOther">(["topCounts", "topOther"]);
  const aggregation = { fn, column: random.pick(["items", "shop", "serial"]), ...shape };
  const parameters = { k: random.pick([1, 2, 5]) };
  return {
    aggregation: { ...aggregation, parameters },
    result: fn === "topCounts" ? arrayOf(type("int64")) : type("int64"),
  };
}

type BasicAggregation = "count" | "sum" | "mean" | "min" | "max" | "variance" | "stddev" | "first" | "last" | "custom";

function randomAggregation(
  random: SeededRandom,
  shape: Pick<Aggregation, "over" | "where">,
): { aggregation: Aggregation; result: ValueType } {
  const fn = random.pick<BasicAggregation>([
    "count",
    "count",
    "sum",
    "sum",
    "mean",
    "min",
    "max",
    "variance",
    "stddev",
    "first",
    "last",
    "last",
    ...(random.oneIn(3) ? (["custom"] as const) : []),
  ]);
  switch (fn) {
    case "count": {
      const column = random.pick([null, "amount", "shop", "items"]);
      return { aggregation: { fn, ...(column === null ? {} : { column }), ...shape }, result: type("int64") };
    }
    case "sum":
    case "min":
    case "max": {
      const column = random.pick(fn === "sum" ? ["amount", "items", "share"] : ["amount", "items", "share", "due"]);
      return { aggregation: { fn, column, ...shape }, result: COLUMN_TYPES.get(column)! };
    }
    case "mean":
    case "variance":
    case "stddev":
      return {
        aggregation: { fn, column: random.pick(["amount", "items", "share"]), ...shape },
        result: type("float64"),
      };
    case "first":
    case "last": {
      const column = random.pick(["amount", "items", "shop", "abroad", "card", "serial", "tags", "due", "bulk"]);
      return { aggregation: { fn, column, ...shape }, result: COLUMN_TYPES.get(column)! };
    }
    case "custom": {
      const custom = random.oneIn(3) ? MOODY : LARGEST_TWO;
      const column = custom === MOODY ? {} : { column: "items" };
      return { aggregation: { fn, custom, ...column, ...shape }, result: custom.output };
    }
  }
}

const SUMMARIES: readonly AggregationName[] = [
  "firstK",
  "lastK",
  "lastK",
  "countDistinct",
  "topK",
  "histogram",
  "quantile",
  "quantile",
  "ewma",
  "decayedSum",
  "timeSinceLast",
  "rate",
];

function randomSummary(
  random: SeededRandom,
  shape: Pick<Aggregation, "over" | "where">,
): { aggregation: Aggregation; result: ValueType } {
  const fn = random.pick(SUMMARIES);
  const of = (columns: readonly string[]): { column: string; type: ValueType } => {
    const column = random.pick(columns);
    return { column, type: COLUMN_TYPES.get(column)! };
  };
  const float64 = type("float64");
  switch (fn) {
    case "firstK":
    case "lastK": {
      const input = of(["amount", "items", "shop", "abroad", "card", "serial", "tags", "due", "bulk"]);
      const parameters = { k: random.pick([1, 2, 5, 40]) };
      return { aggregation: { fn, column: input.column, parameters, ...shape }, result: arrayOf(input.type) };
    }
    case "countDistinct":
      return {
        aggregation: { fn, column: of(["amount", "amount", "items", "shop", "card", "tags"]).column, ...shape },
        result: type("int64"),
      };
    case "topK": {
      const input = of(["items", "shop", "serial"]);
      const parameters = { k: random.pick([1, 2, 5]) };
      return { aggregation: { fn, column: input.column, parameters, ...shape }, result: arrayOf(input.type) };
    }
    case "histogram": {
      const [column, categories] = random.pick<readonly [string, readonly Value[]]>([
        ["shop", ["a", "b", "x\ud800"]],
        ["items", [0, 1, 2]],
        ["abroad", [true]],
      ]);
      return { aggregation: { fn, column, parameters: { categories }, ...shape }, result: arrayOf(type("int64")) };
    }
    case "quantile": {
      const parameters = { q: random.pick([0, 0.25, 0.5, 0.9, 0.99, 1]) };
      return {
        aggregation: { fn, column: of(["amount", "items", "share"]).column, parameters, ...shape },
        result: float64,
      };
    }
    case "ewma":
    case "decayedSum": {
      const parameters = { halfLifeMicros: random.pick([SECOND, 600 * SECOND, HOUR, DAY]) as DurationMicros };
      return {
        aggregation: { fn, column: of(["amount", "items", "share"]).column, parameters, ...shape },
        result: float64,
      };
    }
    default: {
      // a rate needs a time window
      const name = fn === "rate" && shape.over?.kind !== "time" ? "timeSinceLast" : fn;
      const column = random.oneIn(2) ? { column: of(["amount", "shop"]).column } : {};
      return { aggregation: { fn: name, ...column, ...shape }, result: float64 };
    }
  }
}

function arrayOf(element: ValueType): ValueType {
  return { name: "array", element };
}
