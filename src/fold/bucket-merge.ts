/**
 * Which neighbouring buckets of a list become one when it is compacted, and joining them.
 *
 *     | cell of the hop ladder  | cell        | cell  | ...      time ->
 *     | b   b      b            | b    b      | b b   |          two of one cell become one
 *
 * A cell is as long as the hop of the smallest window that can still reach its buckets, so none becomes coarser than
 * a window may see it.
 */
import type { Cells } from "./accumulator.ts";
import type { BucketLayout } from "./bucket-layout.ts";

/** Buckets of a list, oldest first. */
export interface MergedBuckets {
  readonly buckets: Cells;
  readonly bucketStart: number;
  readonly bucketCount: number;
  /** Place in the array of the first bucket that ends behind `time`. */
  firstBucketAfter(layout: BucketLayout, time: number): number;
}

export interface MergeTimes {
  readonly newestTime: number;
  /** Newest event time at the compaction since which no bucket was put between others; -Infinity where that is not known. */
  readonly settledAt: number;
  /** So many buckets are new: the youngest. */
  readonly retired: number;
}

/**
 * Finds, from the oldest bucket to the youngest, which become one, and joins them. Returns how many there are then.
 *
 * The smallest window that can still reach a bucket bounds how coarse it may become with its elder: the band
 * it is in. What the last compaction left apart in a band stays apart in it, and a bucket that grows by its
 * younger neighbour is no closer to the one behind that. So only buckets that are `retired` just now or have
 * come into another band since are looked at.
 */
export function mergeNeighbours(
  layout: BucketLayout,
  list: MergedBuckets,
  { newestTime, settledAt, retired }: MergeTimes,
): number {
  const { accumulators, stride, windows, hops } = layout;
  const { buckets, bucketStart, bucketCount } = list;
  const { numbers } = buckets;
  const end = bucketStart + bucketCount;
  const isSettled = settledAt !== Number.NEGATIVE_INFINITY;
  const fresh = isSettled ? Math.max(end - retired, bucketStart) : bucketStart;
  // pairs of a bucket and a younger one that goes into it
  const pairs: number[] = [];
  let kept = bucketStart;
  let i = kept + 1;
  for (let band = windows.length - 1; band >= 0; band--) {
    const reach = band === 0 ? Number.NEGATIVE_INFINITY : windows[band - 1]!;
    const from = Math.min(fresh, isSettled ? list.firstBucketAfter(layout, settledAt - reach) : fresh);
    if (from > i) {
      i = from;
      kept = i - 1;
    }
    for (; i < end; i++) {
      const lastTime = numbers[i * stride + 1]!;
      if (newestTime - lastTime < reach) break;
      if (inOneCell(numbers[kept * stride]!, lastTime, hops[band]!)) {
        numbers[kept * stride + 1] = lastTime;
        numbers[kept * stride + 2]! += numbers[i * stride + 2]!;
        pairs.push(kept, i);
      } else kept = i;
    }
  }
  if (pairs.length === 0) return bucketCount;
  for (let k = 0; k < accumulators.length; k++) accumulators[k]!.mergeEach(buckets, pairs, layout);
  return closeGaps(layout, buckets, pairs, end) - bucketStart;
}

/** Moves together what stays when the second of each pair is gone. Returns the place behind the last bucket. */
function closeGaps(
  { stride, objectStride }: BucketLayout,
  { numbers, objects }: Cells,
  pairs: readonly number[],
  end: number,
): number {
  let to = pairs[1]!;
  for (let i = 1; i < pairs.length; i += 2) {
    // what stays between this gap and the next moves as one
    const from = pairs[i]! + 1;
    const until = i + 2 < pairs.length ? pairs[i + 2]! : end;
    if (from === until) continue;
    if (until - from > 2) {
      numbers.copyWithin(to * stride, from * stride, until * stride);
    } else {
      // a call of the runtime costs more than a few cells
      const down = (from - to) * stride;
      for (let at = from * stride; at < until * stride; at++) numbers[at - down] = numbers[at]!;
    }
    if (objectStride > 0) objects.copyWithin(to * objectStride, from * objectStride, until * objectStride);
    to += until - from;
  }
  if (objectStride > 0) objects.length = to * objectStride;
  return to;
}

function inOneCell(first: number, last: number, hop: number): boolean {
  return last - first < hop && last < (Math.floor(first / hop) + 1) * hop;
}
