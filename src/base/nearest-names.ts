/**
 * The known names closest to an unknown one: what an error offers as "did you mean".
 */

/** Up to `limit` of `known`, nearest first, that are within a third of the name's length in edits (at least 2). */
export function nearestNames(name: string, known: Iterable<string>, limit: number = 3): string[] {
  const wanted = name.toLowerCase();
  const near: { readonly name: string; readonly distance: number }[] = [];
  for (const candidate of new Set(known)) {
    const text = candidate.toLowerCase();
    const contained = text.includes(wanted) || wanted.includes(text);
    const distance = contained ? 1 : editDistance(wanted, text);
    if (distance <= Math.max(2, Math.floor(wanted.length / 3))) near.push({ name: candidate, distance });
  }
  near.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return near.slice(0, limit).map((entry) => entry.name);
}

/** Damerau-Levenshtein distance (optimal string alignment): inserts, deletes, changes, swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, beforePrevious[j - 2]! + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
