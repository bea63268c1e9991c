/** Every measure against what SciPy and Evidently give, on the committed data and on tables of their tails. */
import { describe, expect, it } from "vitest";
import { featureDrift } from "../../../src/monitor/drift/feature-drift.ts";
import { kolmogorovTail } from "../../../src/monitor/drift/kolmogorov.ts";
import type { NumericProfile } from "../../../src/monitor/drift/numeric-profile.ts";
import { wasserstein } from "../../../src/monitor/drift/numeric-measures.ts";
import { EXACT } from "../../../src/monitor/drift/profile.ts";
import { chiSquareTail, normalTwoSidedTail, smirnovTail } from "../../../src/monitor/drift/special-functions.ts";
import { KS_EXACT_MAX, ksProbability } from "../../../src/monitor/drift/two-sample-ks.ts";
import { expected, expectedCases, profileOf } from "./expected-cases.ts";

const CLOSE = 1e-9;

function expectClose(value: number | undefined, wanted: number, what: string): void {
  expect(value, what).toBeTypeOf("number");
  expect(Math.abs(value! - wanted), `${what}: ${value} for ${wanted}`).toBeLessThanOrEqual(
    CLOSE * Math.max(1, Math.abs(wanted)),
  );
}

describe("drift measures equal those of SciPy and Evidently", () => {
  it.each(expectedCases)("of %s", (_, { type, ...one }) => {
    const [reference, current] = [profileOf(one.reference, type, EXACT), profileOf(one.current, type, EXACT)];
    const drift = featureDrift({ name: "f", isInteger: type === "int64" }, reference, current);
    const judged = drift.judged!;
    expect([judged.measure, judged.threshold, judged.isBeyond]).toEqual([one.default, one.threshold, one.drifted]);
    for (const [measure, wanted] of Object.entries(one.measures)) {
      expectClose(judged.all[measure as keyof typeof judged.all], wanted, measure);
    }
    expectClose(judged.value, judged.all[one.default]!, "the one that judges");
    expectClose(drift.missing.reference, one.missing.reference, "missing before");
    expectClose(drift.missing.current, one.missing.current, "missing now");
    expectClose(drift.missing.pValue, one.missing.p_value, "p-value of missing values");
    if (one.ks !== undefined) {
      expectClose(judged.test.statistic, one.ks.statistic, "distance of Kolmogorov and Smirnov");
      expectClose(judged.test.pValue, one.ks.p_value, "its p-value");
      const isExact = Math.max(reference.count, current.count) <= KS_EXACT_MAX && one.ks.p_value > 1e-12;
      expect(judged.test.method).toBe(isExact ? "exact" : "asymptotic");
      const distance = wasserstein(reference as NumericProfile, current as NumericProfile).value;
      expectClose(distance, one.wasserstein_distance!, "Wasserstein distance");
    } else {
      expectClose(judged.test.statistic, one.contingency!.statistic, "chi-square of both as samples");
      expectClose(judged.test.pValue, one.contingency!.p_value, "its p-value");
      expectClose(judged.all.l_infinity, one.l_infinity!, "L-infinity");
    }
  });

  it("in the tail of Kolmogorov's distribution, by every method and at the borders of each", () => {
    for (const [n, d, p] of expected.kolmogorov) expectClose(kolmogorovTail(n, d), p, `n ${n}, d ${d}`);
  });

  it("in the exact tail of two samples, of one size and of several", () => {
    for (const [m, n, d, p] of expected.twoSample) {
      expect(ksProbability(d, m, n).method).toBe("exact");
      expectClose(ksProbability(d, m, n).pValue, p, `${m} and ${n} values, d ${d}`);
      expectClose(ksProbability(d, n, m).pValue, p, `${n} and ${m} values, d ${d}`);
    }
  });

  it("in the tail of chi-square", () => {
    for (const [x, degrees, p] of expected.chiSquare) expectClose(chiSquareTail(x, degrees), p, `${x} of ${degrees}`);
  });
});

describe("tails that no number is small enough for", () => {
  it("are 0, and what lies opposite is 1", () => {
    expect([chiSquareTail(1e7, 3), chiSquareTail(Number.POSITIVE_INFINITY, 3)]).toEqual([0, 0]);
    expect(chiSquareTail(1e-300, 900)).toBe(1);
    expect(normalTwoSidedTail(1e3)).toBe(0);
    expect(smirnovTail(100_000, 0.4)).toBe(0);
    expect(ksProbability(1, 10_000, 10_000).pValue).toBe(0);
  });
});
