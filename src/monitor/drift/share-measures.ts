/**
 * Measures of two distributions that are counted in the same cells.
 *
 * With p and q the parts of the reference's and the current values in a cell:
 *
 * - PSI: sum of (p - q) ln(p / q), a part of 0 standing as 0.0001 (or, where the side's least part is no more than that,
 *   as a millionth of it), as Evidently 0.7.21 has it. Siddiqi, "Credit Risk Scorecards", 2006: below 0.1 little, above
 *   0.25 much.
 * - Jensen-Shannon distance: sqrt of half the sum of p ln(p/m) + q ln(q/m), m = (p + q) / 2, so 0 to sqrt(ln 2), as
 *   `scipy.spatial.distance.jensenshannon`. Endres, Schindelin, "A new metric for probability distributions", 2003.
 * - L-infinity: the greatest |p - q|, as TensorFlow Data Validation's comparator for categories.
 * - Chi-square: as Evidently, Pearson's test of the current counts against the reference's parts as if these were known
 *   (`scipy.stats.chisquare`). Beside it the test of both as samples (`scipy.stats.chi2_contingency`, uncorrected), which
 *   a reference that is no larger than the current values needs.
 * - z: two proportions, pooled, two-sided, of everything but the first cell.
 */
import type { CellCounts, Cells } from "./cells.ts";
import { exactly, type Measured } from "./measured.ts";
import { chiSquareTail, normalTwoSidedTail } from "./special-functions.ts";

/** A statistical test. */
export interface Tested {
  readonly statistic: number;
  readonly pValue: number;
}

export function populationStability(cells: Cells): Measured {
  const [p, q] = [filledShares(cells.reference), filledShares(cells.current)];
  let [value, low, high] = [0, 0, 0];
  const references = shareRanges(cells.reference);
  const currents = shareRanges(cells.current);
  for (let i = 0; i < p.length; i++) {
    value += term(p[i]!, q[i]!);
    const [a, b] = [references[i]!, currents[i]!];
    // Convex in both, and 0 where they are equal: greatest in a corner, least where they are nearest.
    high += Math.max(term(a.low, b.high), term(a.high, b.low), term(a.low, b.low), term(a.high, b.high));
    if (a.low > b.high) low += term(a.low, b.high);
    else if (b.low > a.high) low += term(a.high, b.low);
  }
  return cells.isApproximate ? { value, low: null, high: null } : { value, low, high };
}

function term(p: number, q: number): number {
  return (p - q) * Math.log(p / q);
}

export function jensenShannon(cells: Cells): Measured {
  const { reference, current } = cells;
  let sum = 0;
  for (let i = 0; i < reference.counts.length; i++) {
    const p = reference.counts[i]! / reference.total;
    const q = current.counts[i]! / current.total;
    const middle = (p + q) / 2;
    if (p > 0) sum += p * Math.log(p / middle);
    if (q > 0) sum += q * Math.log(q / middle);
  }
  const value = Math.sqrt(Math.max(0, sum) / 2);
  // A metric, and at most sqrt(ln 2 times the total variation) between a distribution and its sketch.
  const off = Math.sqrt(Math.LN2 * reference.stray) + Math.sqrt(Math.LN2 * current.stray);
  return { value, low: Math.max(0, value - off), high: value + off };
}

export function lInfinity(cells: Cells): Measured {
  const { reference, current, hasOthers } = cells;
  const count = reference.counts.length - (hasOthers ? 1 : 0);
  let [value, off] = [0, 0];
  const widthOf = ({ least, most, total }: CellCounts, i: number): number => (most[i]! - least[i]!) / total;
  for (let i = 0; i < count; i++) {
    value = Math.max(value, Math.abs(reference.counts[i]! / reference.total - current.counts[i]! / current.total));
    off = Math.max(off, widthOf(reference, i) + widthOf(current, i));
  }
  return hasOthers ? { value, low: Math.max(0, value - off), high: value + off } : exactly(value);
}

/** Against the reference's parts as if they were known: what Evidently's "chisquare" gives. */
export function chiSquareOfParts({ reference, current }: Cells): Tested {
  const norm = current.total / reference.total;
  let statistic = 0;
  for (let i = 0; i < reference.counts.length; i++) {
    const expected = reference.counts[i]! * norm;
    statistic += (current.counts[i]! - expected) ** 2 / expected;
  }
  return { statistic, pValue: chiSquareTail(statistic, reference.counts.length - 1) };
}

/** Whether both may be samples of one distribution. */
export function chiSquareOfSamples({ reference, current }: Cells): Tested {
  const all = reference.total + current.total;
  let [statistic, occupied] = [0, 0];
  for (let i = 0; i < reference.counts.length; i++) {
    const both = reference.counts[i]! + current.counts[i]!;
    if (both === 0) continue;
    occupied++;
    for (const { counts, total } of [reference, current]) {
      const expected = (both * total) / all;
      statistic += (counts[i]! - expected) ** 2 / expected;
    }
  }
  return { statistic, pValue: chiSquareTail(statistic, occupied - 1) };
}

/** Of everything but the first cell, as Evidently's "z". One cell alone is the same on both sides. */
export function proportionsOfCells({ reference, current }: Cells): Tested {
  if (reference.counts.length < 2) return { statistic: 0, pValue: 1 };
  const rest = ({ counts, total }: CellCounts): number => total - counts[0]!;
  return proportionsTest(rest(reference), reference.total, rest(current), current.total);
}

/** Pooled, two-sided: z = (p1 - p2) / sqrt(P (1 - P) (1/n1 + 1/n2)). 0 where all have it or none. */
export function proportionsTest(has1: number, of1: number, has2: number, of2: number): Tested {
  const pooled = (has1 + has2) / (of1 + of2);
  if (pooled === 0 || pooled === 1) return { statistic: 0, pValue: 1 };
  const statistic = (has1 / of1 - has2 / of2) / Math.sqrt(pooled * (1 - pooled) * (1 / of1 + 1 / of2));
  return { statistic, pValue: normalTwoSidedTail(statistic) };
}

const FILL = 0.0001;
const FILL_PART = 1e6;

function filledShares({ counts, total }: CellCounts): Float64Array {
  const shares = counts.map((count) => count / total);
  const least = shares.reduce((min, share) => (share > 0 && share < min ? share : min), Number.POSITIVE_INFINITY);
  const fill = least <= FILL ? least / FILL_PART : FILL;
  return shares.map((share) => (share === 0 ? fill : share));
}

/** What a cell's part may be, by an exact count, with what stands for 0 where it may be empty. */
function shareRanges(side: CellCounts): { readonly low: number; readonly high: number }[] {
  const { least, most, counts, total } = side;
  const isExact = counts.every((count, i) => least[i] === count && most[i] === count);
  const filled = filledShares(side);
  if (isExact) return Array.from(filled, (share) => ({ low: share, high: share }));
  // The least part that is not 0 is unknown, and no less than one value's.
  const fill = 1 / total <= FILL ? 1 / total / FILL_PART : FILL;
  return Array.from(least, (low, i) => ({
    low: low === 0 ? Math.min(fill, FILL) : low / total,
    high: Math.max(most[i]! / total, FILL),
  }));
}
