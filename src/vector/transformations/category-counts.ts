/**
 * The values of a column by how often they are there.
 */
import type { PresentValue } from "./operation.ts";

/** Each once, the most frequent first, equally frequent ones in ascending order. */
export function byFrequency(values: readonly PresentValue[]): (string | number | boolean)[] {
  const counts = new Map<PresentValue, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .sort(([a, countOfA], [b, countOfB]) => countOfB - countOfA || ascending(a, b))
    .map(([value]) => value as string | number | boolean);
}

/** Numbers by size, text by code units, false before true. */
function ascending(a: PresentValue, b: PresentValue): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
