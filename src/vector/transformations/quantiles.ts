/**
 * Exact quantiles of a column, by sorting it: between two ranks they are interpolated linearly (the default of
 * NumPy, R's type 7; Hyndman, Fan, "Sample quantiles in statistical packages", The American Statistician 50,
 * 1996).
 */

export function sortedNumbers(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}

/** The value at rank q (n - 1), from 0. At least one value, all of them finite; q from 0 to 1. */
export function quantileOfSorted(sorted: Float64Array, q: number): number {
  const rank = q * (sorted.length - 1);
  const below = Math.floor(rank);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  // Two products, not low + share (high - low): that difference may leave the range of a float64.
  const share = rank - below;
  return (low === high ? low : low * (1 - share) + high * share) + 0;
}
