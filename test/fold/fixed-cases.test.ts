/**
 * The fold's meaning in cases worked out by hand.
 */
import { describe, expect, it } from "vitest";
import { compileViewFold } from "../../src/fold/compile.ts";
import {
  bool,
  col,
  DAY,
  feature,
  float64,
  foldRow,
  HOUR,
  int64,
  lit,
  MINUTE,
  readAll,
  SECOND,
  streamOf,
  string,
  time,
  timestamp,
  user,
  viewOf,
} from "./definitions.ts";

const stream = streamOf({ n: int64, x: float64, s: string });
const hour = { kind: "time", micros: HOUR } as const;
const noon = time("2026-03-01T12:00:00Z");

describe("windows", () => {
  it("cover (asOf - W, asOf], empty as time passes, and say where they start", () => {
    const fold = compileViewFold(
      viewOf([feature(int64, { fn: "count", over: hour }), feature(int64, { fn: "sum", column: "n", over: hour })]),
      stream,
      user,
    );
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [5, null, null]);
    foldRow(fold, state, 1, noon + 10 * MINUTE, [7, null, null]);
    expect(readAll(fold, state, noon + HOUR - 1)).toEqual({
      values: [2, 12],
      statuses: ["PRESENT", "PRESENT"],
      windowStarts: [noon - 1, noon - 1],
    });
    expect(readAll(fold, state, noon + HOUR).values).toEqual([1, 7]);
    expect(readAll(fold, state, noon + 2 * HOUR)).toMatchObject({
      values: [0, null],
      statuses: ["PRESENT", "NULL_VALUE"],
    });
  });

  it("count an event at the earlier of its own time and the time it was known", () => {
    const fold = compileViewFold(viewOf([feature(int64, { fn: "count", over: hour })]), stream, user);
    const state = fold.empty();
    foldRow(fold, state, 0, noon + 30 * SECOND, [1, 1, "a"], noon);
    expect(state.lastEventTime).toBe(noon);
    expect(readAll(fold, state, noon + HOUR - 1).values).toEqual([1]);
    expect(readAll(fold, state, noon + HOUR).values).toEqual([0]);
  });

  it("over the last n take those by time, not arrival, and filter among them", () => {
    const isOdd = { op: "in", input: col("n"), values: [1, 3, 5] } as const;
    const last3 = { kind: "last", events: 3 } as const;
    const fold = compileViewFold(
      viewOf([
        feature(int64, { fn: "sum", column: "n", over: last3 }),
        feature(int64, { fn: "count", where: isOdd, over: last3 }),
      ]),
      stream,
      user,
    );
    const state = fold.empty();
    for (const [i, n] of [1, 2, 3, 4].entries()) foldRow(fold, state, i, noon + i * SECOND, [n, null, null]);
    expect(readAll(fold, state, noon + DAY).values).toEqual([9, 1]);
    // late by more than all three
    foldRow(fold, state, 4, noon - DAY, [1000, null, null], noon + DAY);
    expect(readAll(fold, state, noon + DAY).values).toEqual([9, 1]);
    // late between the second and the third
    foldRow(fold, state, 5, noon + 2.5 * SECOND, [5, null, null], noon + DAY);
    expect(readAll(fold, state, noon + DAY).values).toEqual([12, 2]);
  });
});

describe("values", () => {
  it("of every aggregation over the same four events", () => {
    const over = hour;
    const fold = compileViewFold(
      viewOf([
        feature(int64, { fn: "count", over }),
        feature(int64, { fn: "count", column: "x", over }),
        feature(float64, { fn: "sum", column: "x", over }),
        feature(float64, { fn: "mean", column: "x", over }),
        feature(float64, { fn: "min", column: "x", over }),
        feature(float64, { fn: "max", column: "x", over }),
        feature(float64, { fn: "variance", column: "x", over }),
        feature(float64, { fn: "stddev", column: "x", over }),
        feature(string, { fn: "first", column: "s", over }),
        feature(string, { fn: "last", column: "s", over }),
        feature(timestamp, { fn: "max", column: "at", over }),
        feature(float64, { fn: "mean", column: "n" }),
      ]),
      stream,
      user,
    );
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [1, 2, null]);
    foldRow(fold, state, 1, noon + 1, [2, null, "a"]);
    foldRow(fold, state, 2, noon + 2, [4, 4, "b"]);
    foldRow(fold, state, 3, noon + 3, [null, 9, "c"]);
    expect(readAll(fold, state, noon + 3).values).toEqual([
      4,
      3,
      15,
      5,
      2,
      9,
      13,
      Math.sqrt(13),
      "a",
      "c",
      noon + 3,
      7 / 3,
    ]);
  });

  it("of spread: exactly 0 for equal values, however they were merged", () => {
    const fold = compileViewFold(
      viewOf([
        feature(float64, { fn: "stddev", column: "x", over: hour }),
        feature(float64, { fn: "variance", column: "x" }),
      ]),
      stream,
      user,
    );
    const state = fold.empty();
    for (let i = 0; i < 1000; i++) foldRow(fold, state, i, noon + i * SECOND, [null, 0.1, null]);
    expect(readAll(fold, state, noon + 1000 * SECOND).values).toEqual([0, 0]);
  });

  it("of ties: last takes the later offset, first the earlier", () => {
    const fold = compileViewFold(
      viewOf([
        feature(string, { fn: "first", column: "s" }),
        feature(string, { fn: "last", column: "s" }),
        feature(string, { fn: "first", column: "s", over: hour }),
        feature(string, { fn: "last", column: "s", over: hour }),
      ]),
      stream,
      user,
    );
    const state = fold.empty();
    foldRow(fold, state, 3, noon, [null, null, "three"]);
    foldRow(fold, state, 4, noon, [null, null, "four"]);
    foldRow(fold, state, 5, noon, [null, null, null]);
    expect(readAll(fold, state, noon).values).toEqual(["three", "four", "three", "four"]);
  });

  it("of sums: exact to the last digit of the safe range, ERROR beyond it", () => {
    const fold = compileViewFold(
      viewOf([feature(int64, { fn: "sum", column: "n" }), feature(float64, { fn: "sum", column: "x" })]),
      stream,
      user,
    );
    const state = fold.empty();
    const most = Number.MAX_SAFE_INTEGER;
    foldRow(fold, state, 0, noon, [most, 1e16, null]);
    foldRow(fold, state, 1, noon, [most, 1, null]);
    expect(readAll(fold, state, noon)).toMatchObject({ values: [null, 1e16], statuses: ["ERROR", "PRESENT"] });
    foldRow(fold, state, 2, noon, [-most + 1, -1e16, null]);
    // the digits that 1e16 + 1 lost are still there
    expect(readAll(fold, state, noon)).toMatchObject({ values: [null, 1], statuses: ["ERROR", "PRESENT"] });
    foldRow(fold, state, 3, noon, [-3, 0, null]);
    expect(readAll(fold, state, noon)).toMatchObject({ values: [most - 2, 1], statuses: ["PRESENT", "PRESENT"] });
  });

  it("are never negative zero, and not finite only where the source allows it", () => {
    const features = [
      feature(float64, { fn: "sum", column: "x" }),
      feature(float64, { fn: "min", column: "x" }),
      feature(float64, { fn: "last", column: "x" }),
    ];
    const strict = compileViewFold(viewOf(features), stream, user);
    const open = compileViewFold(
      viewOf(features),
      streamOf({ n: int64, x: float64, s: string }, { allowNonFinite: true }),
      user,
    );
    const state = strict.empty();
    foldRow(strict, state, 0, noon, [null, -0, null]);
    for (const value of readAll(strict, state, noon).values) expect(Object.is(value, 0)).toBe(true);
    foldRow(strict, state, 1, noon, [null, 1.7e308, null]);
    foldRow(strict, state, 2, noon, [null, 1.7e308, null]);
    expect(readAll(strict, state, noon)).toMatchObject({
      values: [null, 0, 1.7e308],
      statuses: ["ERROR", "PRESENT", "PRESENT"],
    });
    const wild = open.empty();
    foldRow(open, wild, 0, noon, [null, Number.POSITIVE_INFINITY, null]);
    expect(readAll(open, wild, noon).values).toEqual([Infinity, Infinity, Infinity]);
    foldRow(open, wild, 1, noon, [null, Number.NaN, null]);
    expect(readAll(open, wild, noon).values).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("are NaN with one bit pattern in the state, however they arose", () => {
    const features = [
      feature(float64, { fn: "sum", column: "x" }),
      feature(float64, { fn: "stddev", column: "x", over: hour }),
    ];
    const open = compileViewFold(
      viewOf(features, { exactEvents: 0 }),
      streamOf({ n: int64, x: float64, s: string }, { allowNonFinite: true }),
      user,
    );
    const state = open.empty();
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1];
    for (let i = 0; i < 200; i++) foldRow(open, state, i, noon + i, [null, values[i % 4]!, null]);
    const bytes = open.encode(state);
    const cells = new BigUint64Array(bytes.buffer, 8, Math.floor((bytes.length - 8) / 8));
    const patterns = [...cells].filter(
      (bits) => (bits & 0x7ff0000000000000n) === 0x7ff0000000000000n && (bits & 0xfffffffffffffn) !== 0n,
    );
    expect(patterns.length).toBeGreaterThan(3);
    expect(new Set(patterns)).toEqual(new Set([0x7ff8000000000000n]));
    // as another machine's arithmetic might leave it
    const negative = bytes.map((byte, i) => (byte === 0x7f && bytes[i - 1] === 0xf8 ? 0xff : byte));
    expect(negative).not.toEqual(bytes);
    expect(open.encode(open.decode(negative))).toEqual(bytes);
  });
});

describe("absence", () => {
  const fold = compileViewFold(
    viewOf(
      [
        feature(int64, { fn: "count", over: hour }),
        feature(float64, { fn: "mean", column: "x", over: hour }, { default: -1 }),
        feature(string, { fn: "last", column: "s" }, { default: "none", ttlMicros: DAY }),
        feature(bool, { fn: "last", column: "b" }),
      ],
      { ttlMicros: 2 * DAY },
    ),
    streamOf({ n: int64, x: float64, s: string, b: bool }),
    user,
  );

  it("of the entity reads as the empty state, NOT_FOUND, with defaults", () => {
    for (const state of [null, fold.empty()]) {
      expect(readAll(fold, state, noon)).toEqual({
        values: [0, -1, "none", null],
        statuses: ["NOT_FOUND", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"],
        windowStarts: [noon - HOUR, noon - HOUR, -Infinity, -Infinity],
      });
    }
  });

  it("of values is NULL_VALUE with the default; past the TTL there is no default", () => {
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [1, null, null, false]);
    expect(readAll(fold, state, noon + DAY)).toMatchObject({
      values: [0, -1, "none", false],
      statuses: ["PRESENT", "NULL_VALUE", "NULL_VALUE", "PRESENT"],
    });
    expect(readAll(fold, state, noon + DAY + 1)).toMatchObject({
      values: [0, -1, null, false],
      statuses: ["PRESENT", "NULL_VALUE", "OUTSIDE_MAX_AGE", "PRESENT"],
    });
    expect(readAll(fold, state, noon + 2 * DAY + 1).statuses).toEqual(
      Array.from({ length: 4 }).fill("OUTSIDE_MAX_AGE"),
    );
  });

  it("by forgetAfter empties the state before the event, but keeps its place in the log", () => {
    const forgetful = compileViewFold(
      viewOf([feature(int64, { fn: "count" }), feature(int64, { fn: "count", over: { kind: "last", events: 5 } })], {
        forgetAfterMicros: HOUR,
      }),
      stream,
      user,
    );
    const state = forgetful.empty();
    foldRow(forgetful, state, 0, noon, [1, 1, "a"]);
    foldRow(forgetful, state, 1, noon + HOUR, [1, 1, "a"]);
    expect(readAll(forgetful, state, noon + HOUR).values).toEqual([2, 2]);
    foldRow(forgetful, state, 2, noon + 2 * HOUR + 1, [1, 1, "a"]);
    expect(readAll(forgetful, state, noon + 3 * HOUR).values).toEqual([1, 1]);
    expect(state).toMatchObject({ lastOffset: 2, eventCount: 1, lastEventTime: noon + 2 * HOUR + 1 });
    expect(foldRow(forgetful, state, 2, noon + 3 * HOUR, [1, 1, "a"])).toEqual({ kind: "already-folded" });
  });
});

describe("the edges of expiry", () => {
  it("hold to the microsecond whenever compaction runs", () => {
    for (const exactEvents of [0, 2, 128]) {
      // too short a window to merge in, and one that is merged
      const windows = [40_000, 90 * SECOND];
      const fold = compileViewFold(
        viewOf(
          windows.map((micros) => feature(int64, { fn: "count", over: { kind: "time", micros } })),
          { exactEvents },
        ),
        stream,
        user,
      );
      for (const [w, window] of windows.entries()) {
        const state = fold.empty();
        const step = window / 4;
        // at each step three events a microsecond apart
        for (let i = 0; i < 600; i++) {
          const at = noon + Math.floor(i / 3) * step + (i % 3);
          foldRow(fold, state, i, at, [1, 1, "a"]);
          const { values, windowStarts } = readAll(fold, state, at);
          // only the three of one step can have been merged
          const moved = windowStarts[w]! - (at - window);
          expect(moved).toBeGreaterThanOrEqual(0);
          expect(moved).toBeLessThan(exactEvents === 128 || w === 0 ? 1 : 3);
          expect(values[w]).toBe(Math.min(i + 1, 12 - moved));
        }
      }
    }
  });
});

describe("an event that throws", () => {
  it("is poison and leaves every byte as it was", () => {
    const overflow = {
      op: "gt",
      left: { op: "multiply", left: col("n"), right: lit(2 ** 30) },
      right: lit(0),
    } as const;
    const fold = compileViewFold(
      viewOf([feature(int64, { fn: "count", over: hour }), feature(int64, { fn: "count", where: overflow })], {
        forgetAfterMicros: HOUR,
      }),
      stream,
      user,
    );
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [1, 1, "a"]);
    const before = fold.encode(state);
    const outcome = foldRow(fold, state, 1, noon + DAY, [2 ** 40, 1, "a"]);
    expect(outcome).toEqual({ kind: "poison", message: expect.stringContaining("safe int64 range") });
    expect(fold.encode(state)).toEqual(before);
    expect(foldRow(fold, state, 2, noon + 1, [1, 1, "a"])).toEqual({ kind: "folded" });
  });
});

describe("keys and columns", () => {
  it("are found in the row, canonical, composite too", () => {
    const route = {
      kind: "entity",
      name: "user",
      keys: [
        { name: "from", type: string },
        { name: "n", type: int64 },
      ],
    } as const;
    const derived = [{ name: "late", type: bool, expression: { op: "gt", left: col("n"), right: lit(1) } }] as const;
    const source = streamOf({ n: int64, x: float64, s: string }, { derived });
    const fold = compileViewFold(
      viewOf([feature(int64, { fn: "count", where: { op: "eq", left: col("late"), right: lit(true) } })], {
        key: ["s", "n"],
      }),
      source,
      route,
    );
    expect(fold.keyOf(["u", noon, 7, null, "a|b"])).toBe("a\\|b|7");
    expect(() => fold.keyOf(["u", noon, null, null, "a"])).toThrow(expect.objectContaining({ code: "KEY_MISSING" }));
    expect(fold.inputColumns).toEqual(["n", "s"]);
  });
});
