/** ONEFOLD_SEED=n runs other values; ONEFOLD_ROUNDS=n so many rounds. */
import { describe, expect, it } from "vitest";
import { mergeCategories, NO_CATEGORIES, profileCategories } from "../../../src/monitor/drift/category-profile.ts";
import { categoryCells, numericCells } from "../../../src/monitor/drift/cells.ts";
import type { Measured } from "../../../src/monitor/drift/measured.ts";
import {
  mergeNumbers,
  NO_NUMBERS,
  type NumericProfile,
  profileNumbers,
} from "../../../src/monitor/drift/numeric-profile.ts";
import {
  kolmogorovSmirnov,
  ksTest,
  normedWasserstein,
  wasserstein,
} from "../../../src/monitor/drift/numeric-measures.ts";
import { profileFromJson, profileToJson } from "../../../src/monitor/drift/profile-json.ts";
import { jensenShannon, lInfinity, populationStability } from "../../../src/monitor/drift/share-measures.ts";
import { binRange, VALUE_BINS_MAX } from "../../../src/monitor/drift/value-bins.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const ROUNDS = Number(process.env["ONEFOLD_ROUNDS"] ?? 15);
const UNBOUNDED = Number.POSITIVE_INFINITY;

type Draw = (random: SeededRandom) => number;

function normal(random: SeededRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** Of many shapes: far from zero, of both signs, tiny, with ties, with outliers. */
const SHAPES: readonly ((shift: number) => Draw)[] = [
  (shift) => (random) => normal(random) + shift,
  (shift) => (random) => 290 + shift + 2 * normal(random),
  (shift) => (random) => Math.exp(3 * normal(random) + shift),
  (shift) => (random) => Math.tan(Math.PI * (random.next() - 0.5)) + shift,
  (shift) => (random) => Math.floor(40 * random.next() + 10 * shift),
  (shift) => (random) => random.pick([0, -0, 1e-310, -1e-310, 5e-324, 1e-9, shift, 1e300, -1e300]),
  (shift) => (random) => (random.oneIn(50) ? 1e6 * normal(random) : 1000 + shift + random.next()),
  (shift) => (random) => (random.oneIn(3) ? Number.NaN : random.integer(0, 3) + Math.round(shift)),
  () => () => 7.5,
];

function draws(random: SeededRandom, draw: Draw, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => draw(random));
}

/** Cut anywhere and merged in any order. */
function inParts<T>(
  random: SeededRandom,
  count: number,
  of: (from: number, to: number) => T,
  merge: (a: T, b: T) => T,
): T {
  const cuts = [
    0,
    ...Array.from({ length: random.integer(0, 6) }, () => random.integer(0, count)).sort((a, b) => a - b),
    count,
  ];
  const parts = cuts.slice(1).map((to, i) => of(cuts[i]!, to));
  while (parts.length > 1) {
    const [a] = parts.splice(random.integer(0, parts.length - 1), 1);
    const at = random.integer(0, parts.length - 1);
    parts[at] = merge(parts[at]!, a!);
  }
  return parts[0]!;
}

function expectWithin(exact: number, { low, high }: Measured, what: string): void {
  const rounding = 1e-9 * Math.max(1, Math.abs(exact));
  if (low !== null) expect(exact, `${what} is not below its bound`).toBeGreaterThanOrEqual(low - rounding);
  if (high !== null) expect(exact, `${what} is not above its bound`).toBeLessThanOrEqual(high + rounding);
}

const forRounds = (work: (random: SeededRandom, round: number) => void): void => {
  for (let round = 0; round < ROUNDS; round++) {
    try {
      work(new SeededRandom(SEED + round), round);
    } catch (error) {
      throw new Error(`with ONEFOLD_SEED=${SEED + round} ONEFOLD_ROUNDS=1`, { cause: error });
    }
  }
};

describe("sketches of numbers", () => {
  it(`are those of the union to the bit, however values were parted and merged (seed ${SEED})`, () => {
    forRounds((random) => {
      const binsMax = random.pick([2, 16, 64, VALUE_BINS_MAX]);
      const values = draws(random, random.pick(SHAPES)(random.next() * 2), random.integer(0, 4000));
      const whole = profileNumbers(values.slice(), 0, binsMax);
      const merged = inParts(
        random,
        values.length,
        (from, to) =>
          profileFromJson(
            structuredClone(profileToJson(profileNumbers(values.slice(from, to), 0, binsMax))),
          ) as NumericProfile,
        (a, b) => mergeNumbers(a, b, binsMax),
      );
      expect(merged.bins).toEqual(whole.bins);
      expect([merged.count, merged.missing, merged.min, merged.max]).toEqual([
        whole.count,
        whole.missing,
        whole.min,
        whole.max,
      ]);
      expect(whole.bins.keys.length).toBeLessThanOrEqual(binsMax);
      const scale = Math.max(1, Math.abs(whole.min), Math.abs(whole.max));
      if (whole.count > 0 && scale < 1e100) {
        expect(Math.abs(merged.mean - whole.mean)).toBeLessThanOrEqual(1e-9 * scale);
        expect(Math.abs(merged.squares - whole.squares)).toBeLessThanOrEqual(1e-9 * (whole.squares + scale ** 2));
      }
    });
  });

  it(`hold each value in the bin that says so (seed ${SEED})`, () => {
    forRounds((random) => {
      const values = draws(random, random.pick(SHAPES)(1), 500).filter(Number.isFinite);
      const { bins } = profileNumbers(values.slice(), 0, random.pick([2, 8, 100]));
      const ranges = Array.from(bins.keys, (key) => binRange(key, bins.level));
      const counted = ranges.map(({ low, high }) => values.filter((value) => value >= low && value <= high).length);
      expect(counted).toEqual([...bins.counts]);
    });
  });
});

describe("drift of sketches", () => {
  it(`of numbers is within its stated bounds of the exact drift (seed ${SEED})`, () => {
    const widths: number[] = [];
    forRounds((random) => {
      const shape = random.pick(SHAPES);
      const one = draws(random, shape(0), random.integer(30, 6000));
      const two = draws(random, shape(random.pick([0, 0.2, 1.5])), random.integer(30, 6000));
      const binsMax = random.pick([16, 128, VALUE_BINS_MAX]);
      const exact = [one, two].map((values) => profileNumbers(values.slice(), 0, UNBOUNDED)) as [
        NumericProfile,
        NumericProfile,
      ];
      const sketched = [one, two].map((values) => profileNumbers(values.slice(), 0, binsMax)) as [
        NumericProfile,
        NumericProfile,
      ];
      if (exact[0].max > 1e200) return;
      const distance = kolmogorovSmirnov(...sketched);
      expectWithin(kolmogorovSmirnov(...exact).value, distance, "the distance of Kolmogorov and Smirnov");
      expectWithin(ksTest(kolmogorovSmirnov(...exact), ...exact).value, ksTest(distance, ...sketched), "its p-value");
      expectWithin(wasserstein(...exact).value, wasserstein(...sketched), "Wasserstein");
      expectWithin(normedWasserstein(...exact).value, normedWasserstein(...sketched), "normed Wasserstein");
      const cells = numericCells(...sketched, false);
      const exactCells = numericCells(...exact, false);
      if (cells.edges !== null) expect(cells.edges).toEqual(exactCells.edges);
      expectWithin(jensenShannon(exactCells).value, jensenShannon(cells), "Jensen-Shannon");
      expectWithin(populationStability(exactCells).value, populationStability(cells), "PSI");
      if (binsMax === VALUE_BINS_MAX) widths.push(distance.high! - distance.low!);
    });
    // What the documents say of a sketch's usual size.
    for (const width of widths) expect(width).toBeLessThanOrEqual(0.05);
  });

  it(`of categories is within its stated bounds of the exact drift (seed ${SEED})`, () => {
    forRounds((random) => {
      const names = random.integer(1, 400);
      const skewed = (exponent: number): string => `c${Math.floor(names * random.next() ** exponent)}`;
      const side = (exponent: number): string[] =>
        Array.from({ length: random.integer(50, 3000) }, () => skewed(exponent));
      const [one, two] = [side(4), side(random.pick([4, 5, 1]))];
      const categoriesMax = random.pick([4, 32, 256]);
      const sketchOf = (values: readonly string[]) =>
        inParts(
          random,
          values.length,
          (from, to) => profileCategories(values.slice(from, to), 0, categoriesMax),
          (a, b) => mergeCategories(a, b, categoriesMax),
        );
      const exact = [one, two].map((values) => profileCategories(values, 0, UNBOUNDED));
      const sketched = [sketchOf(one), sketchOf(two)];
      for (const [i, { counts, count, others, shortBy }] of sketched.entries()) {
        expect(counts.size).toBeLessThanOrEqual(categoriesMax);
        expect(shortBy).toBeLessThanOrEqual(count / (categoriesMax + 1));
        expect([...counts.values()].reduce((sum, each) => sum + each, others)).toBe(count);
        for (const [category, all] of exact[i]!.counts) {
          const known = counts.get(category) ?? 0;
          expect(known <= all && all <= known + shortBy, `${category}: ${known} of ${all}, short by ${shortBy}`).toBe(
            true,
          );
        }
      }
      const cells = categoryCells(sketched[0]!, sketched[1]!);
      const exactCells = categoryCells(exact[0]!, exact[1]!);
      expectWithin(jensenShannon(exactCells).value, jensenShannon(cells), "Jensen-Shannon");
      expectWithin(lInfinity(exactCells).value, lInfinity(cells), "L-infinity");
      expectWithin(populationStability(exactCells).value, populationStability(cells), "PSI");
    });
  });

  it("of nothing are empty", () => {
    expect(mergeNumbers(NO_NUMBERS, profileNumbers(new Float64Array([Number.NaN]), 2, 8), 8)).toEqual({
      ...NO_NUMBERS,
      missing: 3,
    });
    expect(mergeCategories(NO_CATEGORIES, NO_CATEGORIES, 8)).toEqual(NO_CATEGORIES);
  });
});
