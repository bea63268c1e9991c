/** Adjusted p-values against their definition and against published ones. */
import { describe, expect, it } from "vitest";
import { adjustedPValues } from "../../../src/monitor/alerts/benjamini-hochberg.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 5);

/** The definition: the least rate at which the step-up procedure rejects, found by trying each rank. */
function naive(pValues: readonly number[]): number[] {
  const sorted = pValues.toSorted((a, b) => a - b);
  return pValues.map((p) => Math.min(1, ...sorted.flatMap((q, i) => (q >= p ? [(q * pValues.length) / (i + 1)] : []))));
}

describe("adjusted p-values", () => {
  it("are those of the fifteen tests in the paper of 1995", () => {
    const paper = [
      0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1,
    ];
    const adjusted = adjustedPValues(paper);
    // At a rate of 0.05 the paper rejects the first four hypotheses.
    expect(adjusted.map((p) => p <= 0.05)).toEqual(paper.map((_, i) => i < 4));
    expect(adjusted[0]).toBeCloseTo(0.0015, 12);
    expect(adjusted[3]).toBeCloseTo(0.035625, 12);
  });

  it(`follow their definition (ONEFOLD_SEED=${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (let trial = 0; trial < 300; trial++) {
      const pValues = Array.from({ length: random.integer(0, 12) }, () => random.integer(0, 20) / 20);
      const adjusted = adjustedPValues(pValues);
      naive(pValues).forEach((expected, i) => expect(adjusted[i]).toBeCloseTo(expected, 12));
    }
  });
});
