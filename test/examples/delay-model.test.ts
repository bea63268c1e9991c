/** The demo's model and measure, against what they are defined to be. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { areaStandardError, areaUnderCurve } from "../../examples/flights/auc.ts";
import { fitLogisticRegression } from "../../examples/flights/model.ts";

describe("area under the curve", () => {
  it("is the share of pairs ranked right, a tie counting half", () => {
    const scored = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean()), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(scored, (rows) => {
        const late = rows.filter(([, isLate]) => isLate).map(([score]) => score);
        const onTime = rows.filter(([, isLate]) => !isLate).map(([score]) => score);
        fc.pre(late.length > 0 && onTime.length > 0);
        let won = 0;
        for (const a of late) for (const b of onTime) won += a > b ? 1 : a === b ? 0.5 : 0;
        const scores = Float64Array.from(rows, ([score]) => score);
        const labels = Float64Array.from(rows, ([, isLate]) => (isLate ? 1 : 0));
        expect(areaUnderCurve(scores, labels)).toBeCloseTo(won / (late.length * onTime.length), 12);
      }),
    );
  });

  it("has the standard error that repeated draws of exponential scores show, for which the formula is exact", () => {
    let seed = 1;
    const uniform = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const [positives, negatives, rate] = [40, 60, 0.3];
    const labels = Float64Array.from({ length: positives + negatives }, (_, row) => (row < positives ? 1 : 0));
    const areas = Array.from({ length: 2000 }, () =>
      areaUnderCurve(
        labels.map((label) => -Math.log(uniform()) / (label === 1 ? rate : 1)),
        labels,
      ),
    );
    const mean = areas.reduce((sum, area) => sum + area, 0) / areas.length;
    const deviation = Math.sqrt(areas.reduce((sum, area) => sum + (area - mean) ** 2, 0) / (areas.length - 1));
    expect(mean).toBeCloseTo(1 / (1 + rate), 2);
    expect(areaStandardError(1 / (1 + rate), positives, negatives) / deviation).toBeGreaterThan(0.93);
    expect(areaStandardError(1 / (1 + rate), positives, negatives) / deviation).toBeLessThan(1.07);
  });
});

describe("logistic regression", () => {
  it("finds the maximum: for a lone yes-no input, the log odds of each group", () => {
    // 1000 rows with input 0, of which 200 late; 1000 with input 1, of which 600 late.
    const input = Float64Array.from({ length: 2000 }, (_, row) => (row < 1000 ? 0 : 1));
    const labels = Float64Array.from({ length: 2000 }, (_, row) => (row < 200 || (row >= 1000 && row < 1600) ? 1 : 0));
    const model = fitLogisticRegression({ rows: 2000, columns: [input] }, labels);
    const [low, high] = model.predict({ rows: 2, columns: [Float64Array.of(0, 1)] });
    expect(low).toBeCloseTo(0.2, 2);
    expect(high).toBeCloseTo(0.6, 2);
  });

  it("tells a null from a mean", () => {
    const input = Float64Array.from({ length: 3000 }, (_, row) => (row % 3 === 0 ? Number.NaN : row % 3));
    const labels = Float64Array.from({ length: 3000 }, (_, row) =>
      row % 3 === 0 && row % 2 === 0 ? 1 : row % 12 === 1 ? 1 : 0,
    );
    const model = fitLogisticRegression({ rows: 3000, columns: [input] }, labels);
    const [missing, mean] = model.predict({ rows: 2, columns: [Float64Array.of(Number.NaN, 1.5)] });
    expect(missing).toBeCloseTo(0.5, 1);
    expect(mean).toBeLessThan(0.2);
  });
});
