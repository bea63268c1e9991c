/**
 * Which units an experiment's variants are served to: a layout of all points that units may have, in segments.
 *
 *     0                                                        2^53
 *     | candidate 1 | candidate 2 |          control           |   weights 60, 20, 20
 *     | candidate 1 | candidate 2 | candidate 1 |   control    |   then ramped to 40, 40, 20
 *
 * At first all points are the control's. Each step, the first weights too, gives every candidate in turn what it lacks of
 * its share, from the control's lowest points on. So a point moves from the control to a candidate or not at all, and a step
 * that would take something from a candidate is none. With one candidate it has the points below its share of 2^53.
 *
 * All of it is arithmetic of integers: the same weights in the same steps give the same layout everywhere.
 */

/** Points are whole numbers from 0, less than this. */
export const POINTS: number = 2 ** 53;

/** The points in [from, to) are served a variant, by its place among the variants; 0 is the control. */
export interface LayoutSegment {
  readonly from: number;
  readonly to: number;
  readonly variant: number;
}

/** Covers all points, in order, without a gap; neighbours differ in their variants. */
export type Layout = readonly LayoutSegment[];

/** What an experiment was told to do, one after another; a stop serves one variant to all. */
export type ExperimentStep =
  | { readonly weights: readonly number[] }
  /** The place of the variant that all units are served from then on. */
  | { readonly stopped: number };

const ALL_CONTROL: Layout = [{ from: 0, to: POINTS, variant: 0 }];

/** Throws a `RangeError` for a step that would move a unit back: see `backwardSteps`. */
export function layoutOf(steps: readonly ExperimentStep[]): Layout {
  let layout = ALL_CONTROL;
  for (const step of steps) {
    if ("stopped" in step) layout = [{ from: 0, to: POINTS, variant: step.stopped }];
    else layout = grown(layout, sizesOf(step.weights));
  }
  return layout;
}

/** The candidates, by their places, that would lose units if `weights` came after `steps`; empty where none would. */
export function losersOf(steps: readonly ExperimentStep[], weights: readonly number[]): number[] {
  const before = pointsOf(layoutOf(steps), weights.length);
  return sizesOf(weights).flatMap((size, variant) => (variant > 0 && size < before[variant]! ? [variant] : []));
}

/** The variant, by its place, that a point is served. */
export function variantAt(layout: Layout, point: number): number {
  for (const { to, variant } of layout) if (point < to) return variant;
  throw new RangeError(`${point} is no point`);
}

/** How many points each of `count` variants has. */
export function pointsOf(layout: Layout, count: number): number[] {
  const points = Array.from<number>({ length: count }).fill(0);
  for (const { from, to, variant } of layout) points[variant]! += to - from;
  return points;
}

/** So many points has each variant by the weights: candidates are rounded down, the control has the rest. */
function sizesOf(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + BigInt(weight), 0n);
  const sizes = weights.map((weight) => Number((BigInt(weight) * BigInt(POINTS)) / total));
  const ofCandidates = sizes.reduce((sum, size, variant) => (variant === 0 ? sum : sum + size), 0);
  return [POINTS - ofCandidates, ...sizes.slice(1)];
}

function grown(layout: Layout, sizes: readonly number[]): Layout {
  const before = pointsOf(layout, sizes.length);
  let next = layout;
  for (let variant = 1; variant < sizes.length; variant++) {
    const lacking = sizes[variant]! - before[variant]!;
    if (lacking < 0) throw new RangeError(`variant ${variant} would lose units`);
    next = given(next, variant, lacking);
  }
  return next;
}

/** The layout in which the lowest so many of the control's points are the variant's. */
function given(layout: Layout, variant: number, points: number): Layout {
  const next: LayoutSegment[] = [];
  let left = points;
  const put = (segment: LayoutSegment): void => {
    if (segment.from === segment.to) return;
    const last = next.at(-1);
    if (last?.variant === segment.variant) next[next.length - 1] = { ...last, to: segment.to };
    else next.push(segment);
  };
  for (const segment of layout) {
    const taken = segment.variant === 0 ? Math.min(left, segment.to - segment.from) : 0;
    left -= taken;
    put({ from: segment.from, to: segment.from + taken, variant });
    put({ ...segment, from: segment.from + taken });
  }
  return next;
}
