/**
 * Sketches held to the errors they state, merging to the bit where it is stated, and fixed cases by hand.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AggregationName, AggregationParameters, Window } from "../../src/define/aggregation-definition.ts";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import {
  DISTINCT_ERROR,
  DISTINCT_VALUES,
  distinctCount,
  distinctError,
  type DistinctState,
} from "../../src/fold/distinct-values.ts";
import { halvings } from "../../src/fold/exp2.ts";
import {
  QUANTILE_ERROR,
  quantileError,
  quantileOf,
  QUANTILES,
  type QuantileState,
} from "../../src/fold/quantile-sketch.ts";
import { ObjectWriter } from "../../src/fold/object-codec.ts";
import type { Summary } from "../../src/fold/summary.ts";
import { TOP_ERROR_MAX, TOP_VALUES, topError, topValues } from "../../src/fold/top-values.ts";
import { murmur3, valueHash } from "../../src/fold/value-hash.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import {
  bool,
  col,
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
  user,
  viewOf,
} from "./definitions.ts";

function summaryOf<S>(summary: Summary<S>, values: readonly Value[]): S {
  return values.reduce<S>((state, value) => summary.add(state, value, 0), summary.empty());
}

function stateBytes(state: unknown): string {
  const writer = new ObjectWriter();
  writer.putAll([state], 0, 1);
  return createHash("sha256").update(writer.bytes()).digest("hex");
}

/** Values in a random number of parts, each summed up alone, joined from the left or from the right. */
function inParts<S>(random: SeededRandom, summary: Summary<S>, values: readonly Value[]): S {
  const parts: S[] = [];
  for (let from = 0; from < values.length;) {
    const to = from + random.integer(1, Math.ceil(values.length / 2));
    parts.push(summaryOf(summary, values.slice(from, to)));
    from = to;
  }
  return random.oneIn(2)
    ? parts.reduce((older, younger) => summary.merge(older, younger), summary.empty())
    : parts.reduceRight((younger, older) => summary.merge(older, younger), summary.empty());
}

describe("the hash of values", () => {
  it("is MurmurHash3_x86_128", () => {
    const hex = (text: string): string =>
      [...murmur3(Buffer.from(text))].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    expect(hex("")).toBe("00000000000000000000000000000000");
    expect(hex("hello")).toBe("2b2444a0db91def79adb31b69adb31b6");
    expect(hex("The quick brown fox jumps over the lazy dog")).toBe("2f1583c3ecee2c675d7bf66ce5e91d2c");
  });

  it("tells values of different types apart, and is a whole number of 53 bits", () => {
    const values: Value[] = [
      0,
      1,
      "0",
      "1",
      "",
      false,
      true,
      Uint8Array.of(),
      Uint8Array.of(48),
      [],
      ["0"],
      [0],
      [null],
    ];
    const hashes = values.map(valueHash);
    expect(new Set(hashes).size).toBe(values.length);
    expect(hashes.every((hash) => Number.isSafeInteger(hash) && hash >= 0)).toBe(true);
  });
});

/** As computed once; no engine's own powers are in it. */
const PINNED_HALVINGS: readonly number[] = [
  // oxlint-disable-next-line oxc/approx-constant -- computed here, not the engine's constant
  1, 0.5, 0.7071067811865476, 0.7937005259840997, 0.0009111650307976638, 5e-324, 0, 0,
];

describe("powers of two with a fraction", () => {
  it("have these bits, on every engine", () => {
    const bits = (x: number): string => Buffer.from(new Float64Array([halvings(x)]).buffer).toString("hex");
    expect([0, 1, 0.5, 1 / 3, 10.1, 1073.9, 1075, Infinity].map(halvings)).toEqual(PINNED_HALVINGS);
    expect(bits(0)).toBe("000000000000f03f");
    expect(bits(1074)).toBe("0100000000000000");
  });

  it("are within 1e-15 of the power", () => {
    const random = new SeededRandom(1);
    for (let i = 0; i < 20_000; i++) {
      const x = random.next() * random.pick([1, 10, 1000]);
      expect(Math.abs(halvings(x) / 2 ** -x - 1)).toBeLessThan(1e-15);
    }
  });
});

describe("countDistinct", () => {
  it("is exact to 256 values, whatever their type", () => {
    for (const make of [
      (i: number): Value => i / 7,
      (i: number): Value => `user-${i}`,
      (i: number): Value => Uint8Array.of(i),
    ]) {
      const values = Array.from({ length: 256 }, (_, i) => make(i));
      const state = summaryOf(DISTINCT_VALUES, [...values, ...values]);
      expect([distinctCount(state), distinctError(state)]).toEqual([256, 0]);
    }
  });

  it(
    "then has the standard error it states, without bias, from hundreds to hundreds of thousands",
    { timeout: 60_000 },
    () => {
      for (const [count, rounds] of [
        [257, 60],
        [3000, 60],
        [20_000, 40],
        [200_000, 4],
      ] as const) {
        const errors = Array.from({ length: rounds }, (_, round) => {
          const state = summaryOf(
            DISTINCT_VALUES,
            Array.from({ length: count }, (__, i) => round * 1e6 + i),
          );
          expect(distinctError(state)).toBe(DISTINCT_ERROR);
          return (distinctCount(state) as number) / count - 1;
        });
        const rootMeanSquare = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / rounds);
        const bias = errors.reduce((sum, error) => sum + error, 0) / rounds;
        expect(rootMeanSquare, `of ${count}`).toBeLessThan(DISTINCT_ERROR * (rounds < 10 ? 2 : 1.25));
        expect(Math.abs(bias), `of ${count}`).toBeLessThan((4 * DISTINCT_ERROR) / Math.sqrt(rounds));
      }
    },
  );

  it("merges to the same bytes in any parts and any order", () => {
    const random = new SeededRandom(2);
    for (const count of [10, 256, 257, 400, 2000]) {
      const values = Array.from({ length: count }, () => random.integer(0, count));
      const whole = stateBytes(summaryOf<DistinctState>(DISTINCT_VALUES, values));
      for (let i = 0; i < 8; i++) expect(stateBytes(inParts(random, DISTINCT_VALUES, values))).toBe(whole);
      expect(stateBytes(summaryOf(DISTINCT_VALUES, values.toReversed()))).toBe(whole);
    }
  });
});

/** Random data of many shapes: uniform, skewed over many powers of ten, both signs, integers with ties. */
const DATA: Readonly<Record<string, (random: SeededRandom) => number>> = {
  uniform: (random) => random.next() * 100,
  "over twelve powers of ten": (random) => 10 ** (random.next() * 12 - 6),
  "of both signs": (random) => (random.next() - 0.5) * 10 ** random.integer(0, 6),
  "small whole numbers": (random) => random.integer(-20, 20),
  "over the whole range of float64": (random) =>
    random.pick([-1, 1]) * 2 ** random.integer(-1020, 1020) * (1 + random.next()),
};

describe("quantile", () => {
  it("is exact to 128 values", () => {
    const values = Array.from({ length: 128 }, (_, i) => (i * 37) % 128);
    const state = summaryOf(QUANTILES, values);
    expect([0, 0.25, 0.5, 0.99, 1].map((q) => quantileOf(state, q))).toEqual([0, 31, 63, 125, 127]);
    expect(quantileError(state)).toBe(0);
  });

  it.each(Object.entries(DATA))("of numbers %s is within the error that it states", (name, draw) => {
    const random = new SeededRandom(3);
    for (const count of [129, 1000, 20_000]) {
      const values = Array.from({ length: count }, () => draw(random));
      const state = summaryOf(QUANTILES, values);
      const ascending = values.toSorted((a, b) => a - b);
      const stated = quantileError(state);
      if (name === "uniform") expect(stated).toBe(QUANTILE_ERROR);
      if (name.startsWith("over the whole") && count > 1000) expect(stated).toBeGreaterThan(QUANTILE_ERROR);
      for (let i = 0; i <= 100; i++) {
        const exact = ascending[Math.floor((i / 100) * (count - 1))]!;
        const found = quantileOf(state, i / 100) as number;
        expect(Math.abs(found - exact), `q ${i / 100} of ${count}`).toBeLessThanOrEqual(
          stated * (1 + 1e-9) * Math.abs(exact),
        );
      }
      expect(state[1].length).toBeLessThanOrEqual(1024);
    }
  });

  it.each(Object.entries(DATA))("of numbers %s merges to the same bytes in any parts and any order", (_, draw) => {
    const random = new SeededRandom(4);
    for (const count of [50, 128, 129, 600, 5000]) {
      const values = Array.from({ length: count }, () => draw(random));
      const whole = stateBytes(summaryOf<QuantileState>(QUANTILES, values));
      for (let i = 0; i < 5; i++) expect(stateBytes(inParts(random, QUANTILES, values))).toBe(whole);
      expect(stateBytes(summaryOf(QUANTILES, values.toReversed()))).toBe(whole);
    }
  });
});

describe("topK", () => {
  it("past 256 different values misses no value that is more frequent than the error it states", () => {
    const random = new SeededRandom(5);
    for (let round = 0; round < 10; round++) {
      const values = Array.from({ length: 20_000 }, () =>
        random.oneIn(5) ? "v1" : `v${Math.floor(1 / (random.next() * 0.05 + 0.0005))}`,
      );
      const state = round % 2 === 0 ? summaryOf(TOP_VALUES, values) : inParts(random, TOP_VALUES, values);
      const counts = new Map<string, number>();
      for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
      expect(state[0]).toBe(values.length);
      const stated = topError(state);
      expect(stated).toBeGreaterThan(0);
      expect(stated).toBeLessThanOrEqual(TOP_ERROR_MAX);
      for (const [value, count] of counts) {
        const at = state[2].indexOf(value);
        const kept = at < 0 ? 0 : state[3][at]!;
        expect(kept).toBeLessThanOrEqual(count);
        expect(count - kept).toBeLessThanOrEqual(stated * values.length + 1e-9);
      }
      expect((topValues(state, 3) as string[])[0]).toBe("v1");
      expect(state[2].length).toBeLessThanOrEqual(256);
    }
  });
});

const noon = time("2026-03-01T12:00:00Z");
const stream = streamOf({ x: float64, n: int64, shop: string, abroad: bool });

function shape(
  fn: AggregationName,
  type: ValueType,
  column?: string,
  parameters?: AggregationParameters,
  over?: Window,
) {
  return feature(type, {
    fn,
    ...(column === undefined ? {} : { column }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(over === undefined ? {} : { over }),
  });
}

describe("fixed cases", () => {
  const listOf = (element: ValueType): ValueType => ({ name: "array", element });
  const hour = { kind: "time", micros: HOUR } as const;
  const view = viewOf([
    shape("lastK", listOf(string), "shop", { k: 2 }),
    shape("lastK", listOf(bool), "abroad", { k: 3 }, hour),
    shape("firstK", listOf(int64), "n", { k: 2 }, { kind: "last", events: 3 }),
    shape("countDistinct", int64, "shop", undefined, hour),
    shape("topK", listOf(string), "shop", { k: 2 }),
    shape("histogram", listOf(int64), "shop", { categories: ["c", "a"] }),
    shape("quantile", float64, "x", { q: 0.5 }),
    shape("ewma", float64, "x", { halfLifeMicros: HOUR as never }),
    shape("decayedSum", float64, "x", { halfLifeMicros: HOUR as never }),
    shape("timeSinceLast", float64),
    shape("timeSinceLast", float64, "x", undefined, hour),
    shape("rate", float64, undefined, undefined, hour),
  ]);
  const fold = compileViewFold(view, stream, user);

  it("of events, one late and one with nulls", () => {
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [10, 1, "a", true]);
    foldRow(fold, state, 1, noon + HOUR, [20, 2, "b", false]);
    foldRow(fold, state, 2, noon + HOUR + SECOND, [null, null, null, null]);
    foldRow(fold, state, 3, noon - HOUR, [40, 4, "a", true], noon + HOUR + SECOND);
    expect(readAll(fold, state, noon + 2 * HOUR).values).toEqual([
      ["a", "b"],
      null,
      [1, 2],
      0,
      ["a", "b"],
      [0, 2, 1],
      20,
      (10 / 2 + 20 + 40 / 4) / (0.5 + 1 + 0.25),
      (10 / 2 + 20 + 40 / 4) / 2,
      3599,
      null,
      1 / 3600,
    ]);
  });

  it("of nothing", () => {
    const nothing = [null, null, null, 0, null, [0, 0, 0], null, null, null, null, null, 0];
    expect(readAll(fold, null, noon).values).toEqual(nothing);
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [null, null, null, null]);
    expect(readAll(fold, state, noon + 30 * MINUTE).values).toEqual([...nothing.slice(0, 9), 1800, null, 1 / 3600]);
  });

  it("of ties in time, in the order they came", () => {
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [1, 1, "a", true]);
    foldRow(fold, state, 1, noon, [2, 2, "b", false]);
    foldRow(fold, state, 2, noon, [3, 3, "c", true]);
    const { values } = readAll(fold, state, noon);
    expect(values.slice(0, 3)).toEqual([
      ["b", "c"],
      [true, false, true],
      [1, 2],
    ]);
  });

  it("reads say how far a value may be off, and 0 where it is exact", () => {
    const sketched = compileViewFold(
      viewOf([
        shape("countDistinct", int64, "n"),
        shape("countDistinct", int64, "n", undefined, { kind: "last", events: 100 }),
        shape("quantile", float64, "n", { q: 0.9 }, hour),
        shape("count", int64),
      ]),
      stream,
      user,
    );
    const state = sketched.empty();
    const buffer = createReadBuffer(4);
    for (let i = 0; i < 500; i++) foldRow(sketched, state, i, noon + i * SECOND, [i, i, "a", true]);
    sketched.read(state, (noon + 500 * SECOND) as Micros, buffer);
    expect(buffer.errors).toEqual([DISTINCT_ERROR, 0, QUANTILE_ERROR, 0]);
    expect(buffer.values[1]).toBe(100);
    sketched.read(null, noon, buffer);
    expect(buffer.errors).toEqual([0, 0, 0, 0]);
  });
});

describe("definitions of them", () => {
  const floats = streamOf({ x: float64 }, { allowNonFinite: true });
  it.each([
    [
      "k is 0, not a whole number from 1 to 1000",
      stream,
      shape("lastK", { name: "array", element: string }, "shop", { k: 0 }),
    ],
    [
      "k is 65, not a whole number from 1 to 64",
      stream,
      shape("topK", { name: "array", element: string }, "shop", { k: 65 }),
    ],
    ["topK needs a string or an int64", stream, shape("topK", { name: "array", element: float64 }, "x", { k: 1 })],
    ["q is 1.5, not a number from 0 to 1", stream, shape("quantile", float64, "x", { q: 1.5 })],
    ["quantile has no parameter k", stream, shape("quantile", float64, "x", { q: 0.5, k: 1 })],
    ["count has no parameter q", stream, shape("count", int64, "x", { q: 0.5 })],
    ["halfLife is undefined", stream, shape("ewma", float64, "x")],
    [
      'category "a" is not a number',
      stream,
      shape("histogram", { name: "array", element: int64 }, "n", { categories: ["a"] }),
    ],
    [
      "a category is there twice",
      stream,
      shape("histogram", { name: "array", element: int64 }, "n", { categories: [1, 1] }),
    ],
    ["rate needs a time window", stream, shape("rate", float64)],
    ["rate needs a time window", stream, shape("rate", float64, undefined, undefined, { kind: "last", events: 3 })],
    ["quantile needs finite numbers", floats, shape("quantile", float64, "x", { q: 0.5 })],
  ])("are refused: %s", (message, source, one) => {
    expect(() => compileViewFold(viewOf([one]), source, user)).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID", message: expect.stringContaining(message) }),
    );
  });

  it("share cells where they can: quantiles of one column cost one sketch", () => {
    const quantiles = [0.5, 0.9, 0.99].map((q) => shape("quantile", float64, "x", { q }));
    const bytesOf = (features: typeof quantiles): number => {
      const fold = compileViewFold(viewOf(features), stream, user);
      const state = fold.empty();
      for (let i = 0; i < 1000; i++) foldRow(fold, state, i, noon + i, [i + 1, i, "a", true]);
      return fold.encode(state).length;
    };
    expect(bytesOf(quantiles)).toBe(bytesOf(quantiles.slice(0, 1)));
  });

  it("count no event whose predicate does not hold", () => {
    const where = { op: "gt", left: col("n"), right: lit(1) } as const;
    const one = feature(float64, { fn: "ewma", column: "x", parameters: { halfLifeMicros: HOUR as never }, where });
    const fold = compileViewFold(viewOf([one]), stream, user);
    const state = fold.empty();
    foldRow(fold, state, 0, noon, [5, 2, "a", true]);
    foldRow(fold, state, 1, noon, [500, 1, "a", true]);
    expect(readAll(fold, state, noon).values).toEqual([5]);
  });
});
