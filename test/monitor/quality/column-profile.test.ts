/** Profiles of random values, in parts that are merged, held against the whole list; what they state of their errors holds. */
import { describe, expect, it } from "vitest";
import {
  addValues,
  type ColumnSketch,
  emptySketch,
  mergeSketch,
  PROFILE_QUANTILES,
  profileOf,
} from "../../../src/monitor/quality/column-profile.ts";
import type { Value, ValueType } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const FLOAT: ValueType = { name: "float64" };

function grouped(values: readonly Value[]): Map<Value, number> {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Of parts of random length, each kept as JSON in between, merged into the first. */
function sketchOf(values: readonly Value[], type: ValueType, random: SeededRandom): ColumnSketch {
  const whole = emptySketch();
  for (let i = 0; i < values.length;) {
    const part = values.slice(i, i + random.integer(1, 400));
    i += part.length;
    const sketch = emptySketch();
    addValues(sketch, type, grouped(part));
    mergeSketch(whole, JSON.parse(JSON.stringify(sketch)) as ColumnSketch);
  }
  return JSON.parse(JSON.stringify(whole)) as ColumnSketch;
}

describe("a profile put together of parts", () => {
  it(`is that of all values, within the errors that it states (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (const [count, spread] of [
      [1, 10],
      [100, 1e9],
      [3000, 40],
      [3000, 1e9],
    ] as const) {
      const values = Array.from({ length: count }, (): number | null =>
        random.oneIn(10) ? null : random.integer(-spread, spread) / 4,
      );
      const numbers = values.filter((value) => value !== null).toSorted((a, b) => a - b);
      const profile = profileOf(sketchOf(values, FLOAT, random));
      expect(profile).toMatchObject({ rows: count, nulls: count - numbers.length, nonFinite: 0 });
      expect([profile.min, profile.max]).toEqual([numbers[0] ?? null, numbers.at(-1) ?? null]);
      if (numbers.length === 0) continue;
      const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
      const squares = numbers.reduce((sum, one) => sum + (one - mean) ** 2, 0);
      expect(Math.abs(profile.mean! - mean)).toBeLessThanOrEqual(1e-9 * spread);
      if (numbers.length > 1) {
        const stddev = Math.sqrt(squares / (numbers.length - 1));
        expect(Math.abs(profile.stddev! - stddev)).toBeLessThanOrEqual(1e-9 * spread);
      }
      for (const [i, q] of PROFILE_QUANTILES.entries()) {
        const exact = numbers[Math.floor(q * (numbers.length - 1))]!;
        expect(Math.abs(profile.quantiles[i]! - exact)).toBeLessThanOrEqual(
          profile.quantileError * Math.abs(exact) + 1e-9,
        );
      }
      const counts = grouped(numbers);
      for (const { value, count: told } of profile.top) {
        const real = counts.get(value)!;
        expect(told).toBeLessThanOrEqual(real);
        expect(told).toBeGreaterThanOrEqual(real - profile.topError * numbers.length);
      }
      // Six standard errors.
      expect(Math.abs(profile.distinct - counts.size)).toBeLessThanOrEqual(6 * profile.distinctError * counts.size);
      if (counts.size <= 256) expect([profile.distinctError, profile.topError]).toEqual([0, 0]);
    }
  });

  it("has of each type what can be said of it", () => {
    const of = (type: ValueType, values: readonly Value[]): ReturnType<typeof profileOf> => {
      const sketch = emptySketch();
      addValues(sketch, type, grouped(values));
      return profileOf(sketch);
    };
    expect(of(FLOAT, [Number.NaN, Infinity, 2, 4])).toMatchObject({
      rows: 4,
      nonFinite: 2,
      mean: 3,
      max: 4,
      distinct: 2,
    });
    expect(of({ name: "bool" }, [true, true, false, null])).toMatchObject({
      mean: expect.closeTo(2 / 3, 12) as number,
      nulls: 1,
      distinct: 2,
    });
    expect(of({ name: "string" }, ["a", "b", "b"])).toMatchObject({
      mean: null,
      min: null,
      quantiles: PROFILE_QUANTILES.map(() => null),
      top: [
        { value: "b", count: 2 },
        { value: "a", count: 1 },
      ],
    });
    expect(of({ name: "timestamp" }, [10, 20])).toMatchObject({ mean: null, min: 10, max: 20, distinct: 2 });
    expect(of({ name: "array", element: FLOAT }, [[1, 2, 3], [1], []])).toMatchObject({
      mean: expect.closeTo(4 / 3, 12) as number,
      max: 3,
    });
    expect(of({ name: "bytes" }, [new Uint8Array([1]), new Uint8Array([2])])).toMatchObject({
      distinct: 2,
      mean: null,
    });
    expect(profileOf(emptySketch())).toMatchObject({ rows: 0, mean: null, stddev: null, top: [], distinct: 0 });
  });
});
