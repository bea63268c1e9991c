/**
 * What is kept of a categorical feature's values: how often each came, exact while few differ.
 *
 * Past so many categories it is a Misra-Gries summary ("Finding repeated elements", 1982), merged as in Agarwal et al.,
 * "Mergeable summaries", PODS 2012: the least counts are taken off all, so that each count is too small by at most
 * `shortBy`, which is at most (all values) / (categoriesMax + 1). What was taken off counts as `others`.
 */
export interface CategoryProfile {
  readonly kind: "category";
  /** Values that are there: the counts and `others`. */
  readonly count: number;
  readonly missing: number;
  readonly counts: ReadonlyMap<string, number>;
  /** Values of categories that are not told apart any more. */
  readonly others: number;
  /** By how much a count may be too small; 0 where all are exact. */
  readonly shortBy: number;
}

/** Categories of a sketch. */
export const CATEGORIES_MAX = 256;

export const NO_CATEGORIES: CategoryProfile = {
  kind: "category",
  count: 0,
  missing: 0,
  counts: new Map(),
  others: 0,
  shortBy: 0,
};

export function profileCategories(values: Iterable<string>, missing: number, categoriesMax: number): CategoryProfile {
  const counts = new Map<string, number>();
  let count = 0;
  for (const value of values) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
    count++;
  }
  return reduced({ kind: "category", count, missing, counts, others: 0, shortBy: 0 }, categoriesMax);
}

export function mergeCategories(a: CategoryProfile, b: CategoryProfile, categoriesMax: number): CategoryProfile {
  const counts = new Map(a.counts);
  for (const [category, count] of b.counts) counts.set(category, (counts.get(category) ?? 0) + count);
  return reduced(
    {
      kind: "category",
      count: a.count + b.count,
      missing: a.missing + b.missing,
      counts,
      others: a.others + b.others,
      shortBy: a.shortBy + b.shortBy,
    },
    categoriesMax,
  );
}

/** How many categories there are, or null where that is not known any more. */
export function distinctCategories({ counts, shortBy }: CategoryProfile): number | null {
  return shortBy === 0 ? counts.size : null;
}

function reduced(profile: CategoryProfile, categoriesMax: number): CategoryProfile {
  if (profile.counts.size <= categoriesMax) return profile;
  const least = [...profile.counts.values()].sort((x, y) => y - x)[categoriesMax]!;
  const counts = new Map<string, number>();
  let kept = 0;
  for (const [category, count] of profile.counts) {
    if (count <= least) continue;
    counts.set(category, count - least);
    kept += count - least;
  }
  return { ...profile, counts, others: profile.count - kept, shortBy: profile.shortBy + least };
}
