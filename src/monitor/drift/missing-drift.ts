/**
 * Whether values are missing more, or less, than they were: the pooled z-test of two proportions, two-sided (as
 * statsmodels' `proportions_ztest`), and Cohen's h of the two ("Statistical Power Analysis for the Behavioral Sciences",
 * 1988; 0.2 is his "small"), which keeps a difference of no matter quiet, however many values there are.
 */
import { proportionsTest } from "./share-measures.ts";

export interface MissingDrift {
  /** Parts of all values. */
  readonly reference: number;
  readonly current: number;
  readonly pValue: number;
  readonly threshold: number;
  /** Cohen's h: 2 asin sqrt(current) - 2 asin sqrt(reference), without its sign. */
  readonly effect: number;
  readonly effectThreshold: number;
  readonly isDrifted: boolean;
}

export const MISSING_P_VALUE = 0.05;
export const MISSING_EFFECT = 0.2;

interface Presence {
  readonly count: number;
  readonly missing: number;
}

export function missingDrift(
  reference: Presence,
  current: Presence,
  threshold: number = MISSING_P_VALUE,
): MissingDrift {
  const [all1, all2] = [reference.count + reference.missing, current.count + current.missing];
  if (all1 === 0 || all2 === 0) {
    const none = { pValue: 1, threshold, effect: 0, effectThreshold: MISSING_EFFECT, isDrifted: false };
    return { reference: partOf(reference), current: partOf(current), ...none };
  }
  const { pValue } = proportionsTest(reference.missing, all1, current.missing, all2);
  const [p, q] = [partOf(reference), partOf(current)];
  const effect = Math.abs(2 * Math.asin(Math.sqrt(q)) - 2 * Math.asin(Math.sqrt(p)));
  const isDrifted = pValue < threshold && effect >= MISSING_EFFECT;
  return { reference: p, current: q, pValue, threshold, effect, effectThreshold: MISSING_EFFECT, isDrifted };
}

/** 0 of nothing. */
function partOf({ count, missing }: Presence): number {
  return missing === 0 ? 0 : missing / (count + missing);
}
