/** Which variant a unit is served: literal points, shares, ramps, overrides. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ExperimentDefinition } from "../../src/define/experiment-definition.ts";
import {
  type ExperimentStep,
  layoutOf,
  losersOf,
  POINTS,
  pointsOf,
  variantAt,
} from "../../src/define/experiment-layout.ts";
import { isExposureKept, unitPoint, variantAssigner } from "../../src/define/unit-assignment.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();

function delayExperiment(more: Partial<ExperimentDefinition> = {}): ExperimentDefinition {
  return {
    kind: "experiment",
    name: "delay_v2",
    variants: [
      { service: "delay", version: 1 },
      { service: "delay", version: 2 },
    ],
    weights: [90, 10],
    unit: { from: "entity", name: "user" },
    salt: "delay_v2",
    ...more,
  };
}

/** As docs/experiments.md has them, computed by Python's hashlib. */
const LITERAL_POINTS: readonly (readonly [salt: string, unit: string, point: number])[] = [
  ["delay_v2", "u1", 6673958446480897],
  ["delay_v2", "u2", 5212871657479200],
  ["delay_v2", "42", 6623924737764057],
  ["delay_v2", "", 153193332121020],
  ["delay_v2", "JFK|LAX", 7418124922206574],
  ["winter 2026", "Zoë", 7298721958803527],
  ["winter 2026", "東京", 5316248519666400],
  ["a", "b\nc", 8250692597663160],
];

describe("a unit's point", () => {
  it.each(LITERAL_POINTS)("of salt %j and unit %j is %d", (salt, unit, point) => {
    expect(unitPoint(salt, unit)).toBe(point);
  });

  it("is another for another salt, and no two pairs of salt and unit are one text", () => {
    expect(unitPoint("a", "u1")).not.toBe(unitPoint("b", "u1"));
    expect(unitPoint("ab", "c")).not.toBe(unitPoint("a", "bc"));
  });
});

/** Weights of 2 to 5 variants, at least one above 0. */
const weightsOf = (count: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.nat({ max: 1000 }), { minLength: count, maxLength: count })
    .filter((weights) => weights.some((w) => w > 0));

/** First weights, and weights to ramp to, of which some would move units back. */
const steps = fc
  .integer({ min: 2, max: 5 })
  .chain((count) => fc.array(weightsOf(count), { minLength: 1, maxLength: 6 }));

/** Those of the asked weights that may be taken one after another. */
function taken(asked: readonly (readonly number[])[]): ExperimentStep[] {
  const [first, ...rest] = asked;
  const done: ExperimentStep[] = [{ weights: first! }];
  for (const weights of rest) if (losersOf(done, weights).length === 0) done.push({ weights });
  return done;
}

describe("a layout", () => {
  it("of one candidate gives it the points below its share", () => {
    expect(layoutOf([{ weights: [90, 10] }])).toEqual([
      { from: 0, to: Math.floor(POINTS / 10), variant: 1 },
      { from: Math.floor(POINTS / 10), to: POINTS, variant: 0 },
    ]);
    expect(layoutOf([{ weights: [1, 0] }])).toEqual([{ from: 0, to: POINTS, variant: 0 }]);
    expect(layoutOf([{ weights: [0, 1] }])).toEqual([{ from: 0, to: POINTS, variant: 1 }]);
  });

  it("of several takes what a ramp gives from the control alone", () => {
    const fifth = Math.floor(POINTS / 5);
    const twoFifths = Number((2n * BigInt(POINTS)) / 5n);
    expect(layoutOf([{ weights: [60, 20, 20] }, { weights: [40, 40, 20] }])).toEqual([
      { from: 0, to: fifth, variant: 1 },
      { from: fifth, to: 2 * fifth, variant: 2 },
      { from: 2 * fifth, to: 2 * fifth + (twoFifths - fifth), variant: 1 },
      { from: 2 * fifth + (twoFifths - fifth), to: POINTS, variant: 0 },
    ]);
  });

  it(`covers all points, each variant's share to the point, whatever it was ramped to (seed ${SEED})`, () => {
    fc.assert(
      fc.property(steps, (asked) => {
        const done = taken(asked);
        const layout = layoutOf(done);
        expect(layout[0]!.from).toBe(0);
        expect(layout.at(-1)!.to).toBe(POINTS);
        layout.slice(1).forEach(({ from, variant }, i) => {
          expect(from).toBe(layout[i]!.to);
          expect(variant).not.toBe(layout[i]!.variant);
        });
        const { weights } = done.at(-1) as { readonly weights: readonly number[] };
        const total = BigInt(weights.reduce((sum, weight) => sum + weight, 0));
        const points = pointsOf(layout, weights.length);
        weights.slice(1).forEach((weight, i) => {
          expect(BigInt(points[i + 1]!)).toBe((BigInt(weight) * BigInt(POINTS)) / total);
        });
      }),
      { seed: SEED },
    );
  });

  it(`moves a unit from the control to a candidate or not at all, and refuses what would move one back (seed ${SEED})`, () => {
    fc.assert(
      fc.property(steps, fc.array(fc.maxSafeNat(), { minLength: 20, maxLength: 50 }), (asked, some) => {
        const done: ExperimentStep[] = [{ weights: asked[0]! }];
        for (const weights of asked.slice(1)) {
          const before = layoutOf(done);
          const losers = losersOf(done, weights);
          if (losers.length > 0) {
            expect(() => layoutOf([...done, { weights }])).toThrow(RangeError);
            continue;
          }
          done.push({ weights });
          const after = layoutOf(done);
          // At the edges, too, where a unit is most easily misplaced.
          const points = [...some, ...[...before, ...after].flatMap(({ from, to }) => [from, to - 1])];
          for (const point of points) {
            const [was, is] = [variantAt(before, point), variantAt(after, point)];
            if (was !== 0) expect(is).toBe(was);
          }
        }
      }),
      { seed: SEED },
    );
  });

  it("names the candidates that would lose units", () => {
    expect(losersOf([{ weights: [50, 30, 20] }], [60, 20, 20])).toEqual([1]);
    expect(losersOf([{ weights: [50, 30, 20] }], [80, 10, 10])).toEqual([1, 2]);
    expect(losersOf([{ weights: [50, 30, 20] }], [5, 3, 2])).toEqual([]);
    expect(losersOf([{ weights: [50, 50] }], [0, 1])).toEqual([]);
  });

  it("of a stop has one variant", () => {
    expect(layoutOf([{ weights: [50, 50] }, { stopped: 0 }])).toEqual([{ from: 0, to: POINTS, variant: 0 }]);
  });
});

describe("assignment", () => {
  it(`gives each variant its share of the units, within chance (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 8 }), weightsOf(3), (text, weights) => {
        const salt = text.replaceAll("\n", " ");
        const count = 3000;
        const assign = variantAssigner(delayExperiment({ salt, weights }), [{ weights }]);
        const seen = [0, 0, 0];
        for (let unit = 0; unit < count; unit++) seen[assign(`user ${unit}`)]!++;
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        weights.forEach((weight, variant) => {
          const share = weight / total;
          const deviation = Math.sqrt(count * share * (1 - share));
          expect(Math.abs(seen[variant]! - count * share)).toBeLessThanOrEqual(7 * deviation + 3);
        });
      }),
      { seed: SEED, numRuns: 20 },
    );
  });

  it("gives two experiments of other salts independent shares", () => {
    const weights = [50, 50];
    const [one, other] = ["a", "b"].map((salt) => variantAssigner(delayExperiment({ salt }), [{ weights }]));
    const both = Array.from({ length: 4000 }, (_, i) => 2 * one!(`u${i}`) + other!(`u${i}`));
    for (const cell of [0, 1, 2, 3]) {
      const seen = both.filter((found) => found === cell).length;
      expect(Math.abs(seen - 1000)).toBeLessThan(6 * Math.sqrt(750));
    }
  });

  it("serves overridden units their variant whatever the weights, until the experiment is stopped", () => {
    const overrides = [
      { unit: "u1", variant: 1 },
      { unit: "u2", variant: 0 },
    ];
    const experiment = delayExperiment({ overrides });
    for (const weights of [
      [1, 0],
      [0, 1],
    ]) {
      const assign = variantAssigner(experiment, [{ weights }]);
      expect([assign("u1"), assign("u2"), assign("u3")]).toEqual([1, 0, weights[1]]);
    }
    const stopped = variantAssigner(experiment, [{ weights: [0, 1] }, { stopped: 0 }]);
    expect([stopped("u1"), stopped("u3")]).toEqual([0, 0]);
  });

  it("keeps the exposures of a share of the units, the same share of each variant", () => {
    const experiment = delayExperiment({ exposures: 0.25 });
    const assign = variantAssigner(experiment, [{ weights: [50, 50] }]);
    const kept = [0, 0];
    for (let i = 0; i < 8000; i++) if (isExposureKept(experiment, `u${i}`)) kept[assign(`u${i}`)]!++;
    for (const count of kept) expect(Math.abs(count - 1000)).toBeLessThan(6 * Math.sqrt(1000));
    expect(isExposureKept(delayExperiment(), "u1")).toBe(true);
    expect(isExposureKept(delayExperiment({ exposures: 0 }), "u1")).toBe(false);
  });
});
