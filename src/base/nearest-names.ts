/**
 * The names a person may have meant, by edit distance: for "did you mean" in every unknown-name error.
 */

/**
 * Up to `limit` of `names` close to `name`, nearest first. Close: within a third of its length in
 * insertions, deletions, substitutions and swaps of neighbours (case does not count), or one contains
 * the other. Takes time in proportion to the length of `name`, which may be millions of characters that somebody sent.
 */
export function nearestNames(name: string, names: Iterable<string>, limit: number = 3): string[] {
  const wanted = name.toLowerCase();
  const bound = Math.max(1, Math.floor(wanted.length / 3));
  const near: { readonly name: string; readonly distance: number }[] = [];
  for (const candidate of new Set(names)) {
    const lower = candidate.toLowerCase();
    // No distance is less; and where one contains the other none is more.
    const apart = Math.abs(wanted.length - lower.length);
    const contains = wanted.length >= 3 && lower.length >= 3 && (lower.includes(wanted) || wanted.includes(lower));
    const distance = contains || apart > bound ? apart : editDistance(wanted, lower);
    if (distance <= bound || contains) near.push({ name: candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return near.slice(0, limit).map((one) => one.name);
}

/** Optimal string alignment distance (Damerau-Levenshtein without editing a substring twice). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(substitution, previous[j]! + 1, current[j - 1]! + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
