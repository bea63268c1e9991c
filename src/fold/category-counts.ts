/**
 * A histogram over declared categories: how many events had each of them, and behind these how many had
 * another value. Counts are exact, the state has a fixed length, and merging adds: associative to the bit.
 */
import type { Value } from "../schema/value.ts";
import type { Summary } from "./summary.ts";

export function categoryCounts(categories: readonly Value[]): Summary<number[]> {
  const places = new Map(categories.map((category, i) => [category, i]));
  return {
    empty: () => noCounts(categories.length),
    add: (counts, value) => {
      counts[places.get(value) ?? categories.length]! += 1;
      return counts;
    },
    merge: (older, younger) => {
      for (let i = 0; i < younger.length; i++) older[i]! += younger[i]!;
      return older;
    },
  };
}

/** One count a category, in their order, then that of all other values. All 0 of nothing. */
export function countsValue(counts: readonly number[] | null, categories: number): Value {
  return counts === null ? noCounts(categories) : [...counts];
}

function noCounts(categories: number): number[] {
  return Array.from<number>({ length: categories + 1 }).fill(0);
}
