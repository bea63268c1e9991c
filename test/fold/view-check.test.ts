/**
 * Definitions that cannot be folded, and what is said about them.
 */
import { describe, expect, it } from "vitest";
import type { FeatureDefinition, ViewDefinition } from "../../src/define/definition.ts";
import type { Aggregation } from "../../src/define/aggregation-definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { ValueType } from "../../src/schema/value.ts";
import {
  bool,
  col,
  feature,
  float64,
  int64,
  lit,
  streamOf,
  string,
  timestamp,
  user,
  viewOf,
  wide,
} from "./definitions.ts";

const stream = streamOf({ n: int64, x: float64, s: string, b: bool, id: wide });

function refusal(features: readonly FeatureDefinition[], more: Partial<ViewDefinition> = {}): unknown {
  try {
    compileViewFold(viewOf(features, more), stream, user);
    return null;
  } catch (error) {
    return error;
  }
}

const hour = { kind: "time", micros: 3_600_000_000 } as const;

describe("a feature is refused", () => {
  it.each<[string, ValueType, Aggregation, Partial<FeatureDefinition>?]>([
    ['sum takes int64 or float64, but "s" is string', string, { fn: "sum", column: "s" }],
    ['mean takes int64 or float64, but "b" is bool', float64, { fn: "mean", column: "b" }],
    ['sum takes int64 or float64, but "id" is int64', wide, { fn: "sum", column: "id" }],
    ['max takes int64, float64 or timestamp, but "s" is string', string, { fn: "max", column: "s" }],
    ["sum needs a column", int64, { fn: "sum" }],
    ['source clicks has no column "m"', int64, { fn: "sum", column: "m" }],
    ["mean gives float64, but the feature is declared int64", int64, { fn: "mean", column: "n" }],
    [
      "a window must be a positive whole number of microseconds, not 0",
      int64,
      { fn: "count", over: { kind: "time", micros: 0 } },
    ],
    ["a window must be a positive", int64, { fn: "count", over: { kind: "time", micros: 1.5 } }],
    ["the last 1 to 100000 events", int64, { fn: "count", over: { kind: "last", events: 0 } }],
    ["the last 1 to 100000 events", int64, { fn: "count", over: { kind: "last", events: 100_001 } }],
    ["a predicate must be a bool", int64, { fn: "count", where: col("n") }],
    ['has no column "m"', int64, { fn: "count", where: { op: "gt", left: col("m"), right: lit(1) } }],
    ["custom needs its functions", int64, { fn: "custom" }],
    ['there is no aggregation "medain"', int64, { fn: "medain" as "mean", column: "n" }],
    ["the default is not a value of type int64", int64, { fn: "count" }, { default: "none" }],
    ["the TTL must be a positive", int64, { fn: "count" }, { ttlMicros: -1 }],
  ])("%s", (message, type, aggregation, more) => {
    expect(refusal([feature(type, aggregation, more)])).toMatchObject({
      code: "DEFINITION_INVALID",
      message: expect.stringContaining(message),
      where: "activity.f0",
    });
  });

  it("naming file and line where the definition knows them", () => {
    const definedAt = { file: "features.ts", line: 12, column: 3 };
    expect(refusal([feature(int64, { fn: "sum", column: "nn" })], { definedAt })).toMatchObject({
      where: "activity.f0 (features.ts:12)",
      candidates: ["n"],
    });
  });
});

describe("a view is refused", () => {
  const count = feature(int64, { fn: "count", over: hour });
  it.each<[string, readonly FeatureDefinition[], Partial<ViewDefinition>]>([
    ["no features", [], {}],
    [
      'two features "twice"',
      [
        { ...count, name: "twice" },
        { ...count, name: "twice" },
      ],
      {},
    ],
    ['reads source "other"', [count], { source: "other" }],
    ['is of entity "other"', [count], { entity: "other" }],
    ["entity user has 1 key columns, the view gives 2", [count], { key: ["user", "s"] }],
    ['key column "n" is int64, but user.user is string', [count], { key: ["n"] }],
    ['has no column "usr"', [count], { key: ["usr"] }],
    ["exactEvents must be", [count], { exactEvents: -1 }],
    ["forgetAfter must be a positive", [count], { forgetAfterMicros: 0 }],
    ["the view's TTL must be", [count], { ttlMicros: 0.5 }],
  ])("%s", (message, features, more) => {
    expect(refusal(features, more)).toMatchObject({
      code: "DEFINITION_INVALID",
      message: expect.stringContaining(message),
    });
  });
});

it("accepts every aggregation over every type it is for", () => {
  const numeric = ["sum", "min", "max"] as const;
  const features = [
    ...numeric.flatMap((fn) => [
      feature(int64, { fn, column: "n" }),
      feature(float64, { fn, column: "x", over: hour }),
    ]),
    feature(timestamp, { fn: "min", column: "at" }),
    ...(["n", "x"] as const).flatMap((column) =>
      (["mean", "variance", "stddev"] as const).map((fn) => feature(float64, { fn, column })),
    ),
    feature(wide, { fn: "last", column: "id" }),
    feature(bool, { fn: "first", column: "b", over: { kind: "last", events: 100_000 } }),
    feature(int64, { fn: "count", column: "s" }),
  ];
  const fold = compileViewFold(viewOf(features), stream, user);
  expect(fold.features.map(({ name, windowMicros }) => [name, windowMicros])).toEqual(
    features.map(({ aggregation: { over } }, i) => [`f${i}`, over?.kind === "time" ? over.micros : null]),
  );
});
