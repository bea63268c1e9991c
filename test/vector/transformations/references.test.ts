/**
 * Transformations beside other people's: scikit-learn, and MurmurHash3 of the same bytes. The values were
 * written by `scripts/transformation-references.py`.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cross, hashBucket, impute, minMax, oneHot, ordinal, quantileBins, standardize } from "../../../src/index.ts";
import type { AnyTransformation } from "../../../src/define/transformation-typing.ts";
import type { Value, ValueType } from "../../../src/schema/value.ts";
import { apply, floats, serviceOf, texts, transformed } from "./transformed.ts";

interface NumberReference {
  readonly train: readonly number[];
  readonly other: readonly number[];
  readonly standardize: readonly number[];
  readonly minMax: readonly number[];
  readonly minMaxRange: readonly number[];
  readonly quantileBins: readonly number[] | null;
  readonly impute: { readonly mean: number; readonly median: number; readonly most_frequent: number };
}

interface References {
  readonly numbers: Readonly<Record<string, NumberReference>>;
  readonly categories: {
    readonly train: readonly string[];
    readonly other: readonly string[];
    readonly oneHot: readonly (readonly number[])[];
    readonly ordinal: readonly number[];
    readonly mostFrequent: string;
  };
  readonly buckets: readonly (readonly [value: string | number | boolean, bucket: number])[];
  readonly crossed: readonly (readonly [values: readonly (string | number | boolean)[], bucket: number])[];
}

const references = JSON.parse(readFileSync(new URL("references.json", import.meta.url), "utf8")) as References;

/** Within 1e-12 of the larger, and of 1: scikit-learn rounds at other places. */
function expectNear(values: readonly Value[], expected: readonly number[]): void {
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of values.entries()) {
    const bound = 1e-12 * Math.max(1, Math.abs(expected[i]!));
    expect(Math.abs((value as number) - expected[i]!), `${String(value)} and ${expected[i]}`).toBeLessThan(bound);
  }
}

describe.each(Object.entries(references.numbers))("of the column %s, as scikit-learn", (name, reference) => {
  const column = floats(...reference.train);
  const all = [...reference.train, ...reference.other];
  const of = (by: AnyTransformation): Value[] => transformed(column, by, all).values;

  it("scales", () => {
    // Of numbers near 1e9 that differ by 1, a mean has 1e-7 of rounding in units of the deviation.
    if (name === "far") {
      for (const [i, value] of of(standardize("x")).entries()) expect(value).toBeCloseTo(reference.standardize[i]!, 6);
      return;
    }
    expectNear(of(standardize("x")), reference.standardize);
    expectNear(of(minMax("x")), reference.minMax);
    expectNear(of(minMax("x", { low: -1, high: 1 })), reference.minMaxRange);
  });

  it("bins by quantiles", () => {
    if (reference.quantileBins === null) return;
    expect(of(quantileBins("x", { bins: 4 }))).toEqual(reference.quantileBins);
  });

  it("imputes", () => {
    const withNull = floats(...reference.train, null);
    const imputed = (by: "mean" | "median"): Value => transformed(withNull, impute("x", by), [null]).values[0]!;
    expectNear([imputed("mean")], [reference.impute.mean]);
    expect(imputed("median")).toBe(reference.impute.median);
    expect(transformed(withNull, impute("x", "mostFrequent"), [null]).values).toEqual([reference.impute.most_frequent]);
  });
});

describe("of categories, as scikit-learn", () => {
  const { train, other, oneHot: slots, ordinal: numbers, mostFrequent } = references.categories;
  const column = texts(...train);
  const all = [...train, ...other];

  it("encodes", () => {
    expect(transformed(column, oneHot("x", { unseen: "zeros" }), all).values).toEqual(slots);
    expect(transformed(column, ordinal("x"), all).values).toEqual(numbers);
  });

  it("imputes the most frequent", () => {
    expect(transformed(column, impute("x", "mostFrequent"), [null]).values).toEqual([mostFrequent]);
  });
});

function typeOf(value: string | number | boolean): ValueType {
  return { name: typeof value === "string" ? "string" : typeof value === "number" ? "int64" : "bool" };
}

describe("buckets are those of MurmurHash3", () => {
  it.each(references.buckets.map(([value, bucket]) => ({ value, bucket })))("of $value", ({ value, bucket }) => {
    const column = { type: typeOf(value), values: [value] };
    expect(transformed(column, hashBucket("x", { buckets: 1000 })).values).toEqual([bucket]);
  });

  it.each(references.crossed.map(([values, bucket]) => ({ values, bucket })))("of $values", ({ values, bucket }) => {
    const columns = Object.fromEntries(
      values.map((value, i) => [`x${i}`, { type: typeOf(value), values: [value] }] as const),
    );
    const names = Object.keys(columns);
    const service = serviceOf(columns, { lane: cross(names, { buckets: 2 ** 31 - 1 }) }, names);
    expect(apply(service, values.map(typeOf), null, values).values).toEqual([bucket]);
  });
});
