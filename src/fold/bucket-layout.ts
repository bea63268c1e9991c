/**
 * How the bucket lists of a view are laid out: which cells a bucket and a raw record have, how far back windows reach and
 * how coarse their buckets may become, and what stays raw.
 */
import type { Accumulator, Strides } from "./accumulator.ts";

/** How a view's list is laid out; the same for all its entities. */
export interface BucketLayout extends Strides {
  /** Accumulators of a bucket; the cells of each are its own. */
  readonly accumulators: readonly Accumulator[];
  /** Number cells of a bucket: first time, last time, number of events, then the accumulators' cells. */
  readonly stride: number;
  readonly objectStride: number;
  /** Number cells of a raw record. */
  readonly rawStride: number;
  readonly rawObjectStride: number;
  /** How far back time windows and sessions reach in microseconds, ascending. */
  readonly windows: readonly number[];
  /** The hop of each of them, at most that of the next. */
  readonly hops: readonly number[];
  /** So many newest events stay raw. At least `lastEvents`. */
  readonly exactEvents: number;
  /** So many newest events are kept however old they are: the largest last-n window. */
  readonly lastEvents: number;
}

/** Cells in front of a bucket's accumulators: first time, last time, number of events. */
export const BUCKET_HEADER_CELLS = 3;
