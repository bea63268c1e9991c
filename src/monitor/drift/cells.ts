/**
 * Two profiles counted in the same cells: what PSI, Jensen-Shannon, chi-square and L-infinity compare.
 *
 * As Evidently 0.7.21's `get_binned_data`: numbers of which more than 20 differ in the reference go into intervals of
 * equal width between the least and the greatest of both, as many as Sturges' rule says of both ("The Choice of a Class
 * Interval", JASA 21, 1926), as `numpy.histogram_bin_edges(..., bins="sturges")` has it; others, and categories, into a
 * cell each.
 */
import type { CategoryProfile } from "./category-profile.ts";
import { distinctNumbers, type NumericProfile } from "./numeric-profile.ts";
import { binRange, coarsenTo } from "./value-bins.ts";

/** Numbers of which more differ in the reference are counted in intervals. */
export const DISTINCT_MAX = 20;

/** One side's counts; where a sketch does not know in which cell a value is, `least` and `most` bound what is in it. */
export interface CellCounts {
  readonly total: number;
  readonly counts: Float64Array;
  readonly least: Float64Array;
  readonly most: Float64Array;
  /** Part of the values that may be in another cell. */
  readonly stray: number;
}

export interface Cells {
  /** Edges of intervals, one more than there are cells; null where cells are values. */
  readonly edges: Float64Array | null;
  /** Values of cells; null where cells are intervals. */
  readonly labels: readonly string[] | null;
  /** Whether the last cell holds values that are not told apart. */
  readonly hasOthers: boolean;
  /** Whether exact profiles might be counted in other cells. */
  readonly isApproximate: boolean;
  readonly reference: CellCounts;
  readonly current: CellCounts;
}

/** `isInteger`: the values are int64, of which NumPy makes no interval narrower than 1. Both sides have values. */
export function numericCells(reference: NumericProfile, current: NumericProfile, isInteger: boolean): Cells {
  const distinct = distinctNumbers(reference);
  if (distinct !== null && distinct <= DISTINCT_MAX) return valueCells(reference, current);
  const min = Math.min(reference.min, current.min);
  const max = Math.max(reference.max, current.max);
  const edges = sturgesEdges(min, max, reference.count + current.count, isInteger);
  return {
    edges,
    labels: null,
    hasOthers: false,
    isApproximate: false,
    reference: countIntervals(reference, edges),
    current: countIntervals(current, edges),
  };
}

/** The words under which values that are not told apart are counted. */
export const OTHERS = "(others)";

export function categoryCells(reference: CategoryProfile, current: CategoryProfile): Cells {
  const labels = [...new Set([...reference.counts.keys(), ...current.counts.keys()])].sort();
  const hasOthers = reference.others > 0 || current.others > 0;
  const side = ({ counts, count, others, shortBy }: CategoryProfile): CellCounts => {
    const known = labels.map((label) => counts.get(label) ?? 0);
    const all = hasOthers ? [...known, others] : known;
    const most = Float64Array.from(all, (cell) => cell + shortBy);
    const least = Float64Array.from(all);
    if (hasOthers) [least[known.length], most[known.length]] = [0, others];
    return { total: count, counts: Float64Array.from(all), least, most, stray: others / count };
  };
  return {
    edges: null,
    labels: hasOthers ? [...labels, OTHERS] : labels,
    hasOthers,
    isApproximate: hasOthers,
    reference: side(reference),
    current: side(current),
  };
}

/** Each value a cell; where one side's bins hold several values, so do the cells. */
function valueCells(reference: NumericProfile, current: NumericProfile): Cells {
  const level = Math.max(reference.bins.level, current.bins.level);
  const [a, b] = [coarsenTo(reference.bins, level), coarsenTo(current.bins, level)];
  const keys = [...new Set([...a.keys, ...b.keys])].sort((x, y) => x - y);
  const place = new Map(keys.map((key, i) => [key, i]));
  const side = (bins: typeof a, total: number, others: typeof a): CellCounts => {
    const counts = new Float64Array(keys.length);
    bins.keys.forEach((key, i) => (counts[place.get(key)!] = bins.counts[i]!));
    // A cell of several values that the other side has, too, hides how many of these are the same.
    let hidden = 0;
    if (level > 0) for (const key of others.keys) hidden += counts[place.get(key)!]!;
    return { total, counts, least: counts, most: counts, stray: hidden / total };
  };
  return {
    edges: null,
    labels: keys.map(String),
    hasOthers: false,
    isApproximate: level > 0,
    reference: side(a, reference.count, b),
    current: side(b, current.count, a),
  };
}

function sturgesEdges(min: number, max: number, count: number, isInteger: boolean): Float64Array {
  let [first, last] = [min, max];
  // as NumPy, where all values are one
  if (first === last) [first, last] = [first - 0.5, last + 0.5];
  let width = (max - min) / (Math.log2(count) + 1);
  if (isInteger && width > 0 && width < 1) width = 1;
  const cells = width > 0 ? Math.ceil((last - first) / width) : 1;
  const step = (last - first) / cells;
  const edges = Float64Array.from({ length: cells + 1 }, (_, i) => i * step + first);
  edges[cells] = last;
  return edges;
}

/** Cells are [left, right), the last one closed. */
function countIntervals({ bins, count, min, max }: NumericProfile, edges: Float64Array): CellCounts {
  const cells = edges.length - 1;
  const counts = new Float64Array(cells);
  const least = new Float64Array(cells);
  const most = new Float64Array(cells);
  const { keys, counts: inBin, level } = bins;
  let strays = 0;
  for (let i = 0; i < keys.length; i++) {
    const range = binRange(keys[i]!, level);
    const [low, high] = [Math.max(min, range.low), Math.min(max, range.high)];
    const from = cellOf(edges, low);
    const to = level === 0 ? from : cellOf(edges, high);
    const values = inBin[i]!;
    counts[from === to ? from : cellOf(edges, low + (high - low) / 2)]! += values;
    if (from === to) least[from]! += values;
    else strays += values;
    for (let cell = from; cell <= to; cell++) most[cell]! += values;
  }
  return { total: count, counts, least, most, stray: strays / count };
}

/** The last cell whose left edge is not above the value. */
function cellOf(edges: Float64Array, value: number): number {
  let [low, high] = [0, edges.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (edges[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
