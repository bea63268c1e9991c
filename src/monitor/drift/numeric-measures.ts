/**
 * Measures of two numeric distributions, of their distribution functions F and G.
 *
 * - Kolmogorov-Smirnov: D = the greatest |F - G|. Smirnov, 1939; as `scipy.stats.ks_2samp`.
 * - Wasserstein: the integral of |F - G|, in the feature's unit (`scipy.stats.wasserstein_distance`; Ramdas, Garcia,
 *   Cuturi, "On Wasserstein Two Sample Testing", 2015); normed, as Evidently 0.7.21: divided by the reference's standard
 *   deviation, or by 0.001 where that is less.
 *
 * Sketches know F and G exactly between bins, so D there is a lower bound; within a bin the values may lie anywhere.
 */
import type { Measured } from "./measured.ts";
import { type NumericProfile, standardDeviation } from "./numeric-profile.ts";
import { type KsProbability, ksProbability } from "./two-sample-ks.ts";
import { binRange, coarsenTo } from "./value-bins.ts";

/** What the distance is divided by at least. */
export const DEVIATION_MIN = 0.001;

/** Of the values; both sides have some. */
export function kolmogorovSmirnov(reference: NumericProfile, current: NumericProfile): Measured {
  let [value, high] = [0, 0];
  for (const { before, after } of steps(reference, current)) {
    value = Math.max(value, Math.abs(after.f - after.g));
    high = Math.max(high, after.f - before.g, after.g - before.f);
  }
  return isExact(reference, current)
    ? { value, low: value, high: value }
    : { value, low: value, high: Math.min(1, high) };
}

/** The p-value of that distance, and between which others it lies. */
export function ksTest(
  distance: Measured,
  reference: NumericProfile,
  current: NumericProfile,
  exactMax?: number,
): Measured & Pick<KsProbability, "method"> {
  const probabilityOf = (d: number): KsProbability => ksProbability(d, reference.count, current.count, exactMax);
  const { pValue, method } = probabilityOf(distance.value);
  if (distance.low === distance.high) return { value: pValue, low: pValue, high: pValue, method };
  return { value: pValue, low: probabilityOf(distance.high!).pValue, high: pValue, method };
}

export function wasserstein(reference: NumericProfile, current: NumericProfile): Measured {
  let [value, off] = [0, 0];
  let last: { readonly at: number; readonly gap: number } | null = null;
  const [min, max] = [Math.min(reference.min, current.min), Math.max(reference.max, current.max)];
  for (const { key, level, before, after } of steps(reference, current)) {
    const range = binRange(key, level);
    const [low, high] = [Math.max(min, range.low), Math.min(max, range.high)];
    const at = low + (high - low) / 2;
    if (last !== null) value += last.gap * (at - last.at);
    last = { at, gap: Math.abs(after.f - after.g) };
    // No value of the bin is farther from its middle.
    off += (after.f - before.f + (after.g - before.g)) * ((high - low) / 2);
  }
  return { value, low: Math.max(0, value - off), high: value + off };
}

export function normedWasserstein(reference: NumericProfile, current: NumericProfile): Measured {
  const norm = Math.max(standardDeviation(reference), DEVIATION_MIN);
  const { value, low, high } = wasserstein(reference, current);
  return { value: value / norm, low: low! / norm, high: high! / norm };
}

function isExact(reference: NumericProfile, current: NumericProfile): boolean {
  return reference.bins.level === 0 && current.bins.level === 0;
}

interface Functions {
  readonly f: number;
  readonly g: number;
}

interface Step {
  readonly key: number;
  readonly level: number;
  readonly before: Functions;
  readonly after: Functions;
}

/** Both distribution functions at the edges of all bins of the coarser side, from below. */
function* steps(reference: NumericProfile, current: NumericProfile): Iterable<Step> {
  const level = Math.max(reference.bins.level, current.bins.level);
  const a = coarsenTo(reference.bins, level);
  const b = coarsenTo(current.bins, level);
  let [i, j, inA, inB] = [0, 0, 0, 0];
  let before: Functions = { f: 0, g: 0 };
  while (i < a.keys.length || j < b.keys.length) {
    const left = i < a.keys.length ? a.keys[i]! : Number.POSITIVE_INFINITY;
    const right = j < b.keys.length ? b.keys[j]! : Number.POSITIVE_INFINITY;
    if (left <= right) inA += a.counts[i++]!;
    if (right <= left) inB += b.counts[j++]!;
    const after = { f: inA / reference.count, g: inB / current.count };
    yield { key: Math.min(left, right), level, before, after };
    before = after;
  }
}
