/**
 * What is kept of a numeric feature's values: their bins, exact extremes and moments, and how many were missing.
 *
 * Missing are null, NaN and the infinities, as Evidently 0.7.21 takes them out (`get_one_column_drift`). Moments are
 * merged by Chan, Golub and LeVeque's formula ("Updating Formulae and a Pairwise Algorithm for Computing Sample
 * Variances", 1979); all else is exact.
 */
import { binValues, countOf, mergeBins, NO_VALUES, type ValueBins } from "./value-bins.ts";

export interface NumericProfile {
  readonly kind: "numeric";
  /** Values that are there. */
  readonly count: number;
  readonly missing: number;
  /** Infinity and -Infinity of no values. */
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Sum of the squared distances from the mean. */
  readonly squares: number;
  readonly bins: ValueBins;
}

export const NO_NUMBERS: NumericProfile = {
  kind: "numeric",
  count: 0,
  missing: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  mean: 0,
  squares: 0,
  bins: NO_VALUES,
};

/** Of values, of which those that are not finite are missing, and `missing` more. */
export function profileNumbers(values: Float64Array, missing: number, binsMax: number): NumericProfile {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return { ...NO_NUMBERS, missing: missing + values.length };
  const count = finite.length;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += finite[i]!;
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (finite[i]! - mean) ** 2;
  const bins = binValues(finite, binsMax);
  // It was sorted to be counted.
  const [min, max] = [finite[0]! + 0, finite[count - 1]! + 0];
  return { kind: "numeric", count, missing: missing + values.length - count, min, max, mean, squares, bins };
}

export function mergeNumbers(a: NumericProfile, b: NumericProfile, binsMax: number): NumericProfile {
  const missing = a.missing + b.missing;
  if (a.count === 0) return { ...b, missing };
  if (b.count === 0) return { ...a, missing };
  const count = a.count + b.count;
  const between = b.mean - a.mean;
  return {
    kind: "numeric",
    count,
    missing,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    mean: a.mean + (between * b.count) / count,
    squares: a.squares + b.squares + (between ** 2 * a.count * b.count) / count,
    bins: mergeBins(a.bins, b.bins, binsMax),
  };
}

/** Of the values themselves, not of what they are a sample of: divided by their number. NaN of no values. */
export function standardDeviation({ squares, count }: NumericProfile): number {
  return Math.sqrt(squares / count);
}

/** How many values differ, or null where they are more than the bins tell. */
export function distinctNumbers({ bins }: NumericProfile): number | null {
  return bins.level === 0 ? bins.keys.length : null;
}

/** The q-quantile by rank, within its bin; NaN of no values. */
export function quantile({ bins, min, max }: NumericProfile, q: number): number {
  const rank = Math.floor(q * (countOf(bins) - 1));
  let seen = 0;
  for (let i = 0; i < bins.keys.length; i++) {
    seen += bins.counts[i]!;
    if (seen > rank) return Math.min(max, Math.max(min, bins.keys[i]!));
  }
  return Number.NaN;
}
