/**
 * What every aggregation is built from: an accumulator over cells in shared arrays.
 *
 * An accumulator owns a few number cells and object cells at fixed places inside a group of cells; the
 * same code serves a lifetime group, a merged bucket and the running group of a read. Laws, held by
 * test/fold/accumulator-laws.test.ts on random data:
 *
 * - identity: merging a cleared group, from either side, changes nothing that `read` can see;
 * - merge is associative, and agrees with adding the events one by one: counts, extremes, first and last
 *   to the bit, sums within 1e-12 of the sum of absolute values, moments within the bound of `moments.ts`;
 * - every operation is a fixed sequence of IEEE 754 exact operations on its cells: the same events in the
 *   same order give the same bits, on any machine.
 *
 * A raw record is one event's share: `[time, mask words..., column values...]` in a Float64Array, with
 * values that are not numbers in a parallel array. A bit of the mask says whether the event counts for a
 * channel, i.e. whether its predicate holds and its input is not null.
 */

/** A pair of parallel arrays that groups of cells or raw records lie in. */
export interface Cells {
  numbers: Float64Array;
  objects: unknown[];
}

/** One input under one predicate, and where raw records say so. */
export interface Channel {
  /** Cell of the mask word within a raw record, and the channel's bit in it. */
  readonly maskCell: number;
  readonly bit: number;
  /** Cell of the input value within a raw record: a number cell, an object cell, or -1 for counting events. */
  readonly inputCell: number;
}

/** How far apart groups lie, and raw records, in cells and in object cells. */
export interface Strides {
  readonly stride: number;
  readonly objectStride: number;
  readonly rawStride: number;
  readonly rawObjectStride: number;
}

export interface Accumulator {
  /** Makes the group that starts at these cells empty: the identity of merging. */
  clear(into: Cells, at: number, objectAt: number): void;
  /** Adds one raw record, which may lie anywhere in time, but behind all earlier ones in offset. */
  add(into: Cells, at: number, objectAt: number, raw: Cells, rawAt: number, rawObjectAt: number): void;
  /** Appends a group of events that all stand behind those of `into`. */
  mergeYounger(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number, fromObjectAt: number): void;
  /**
   * Puts raw records [begin, end) in front of the group at cell 0, youngest first. All of them stand
   * before the events already in the group.
   */
  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number, objectStride: number): void;
  /** Puts groups [begin, end) in front of the group at cell 0, youngest first; the first cell of group i is `i * stride`. */
  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number, objectStride: number): void;
  /**
   * `clear` and `add`, to the bit, for each of the raw records [begin, end): group `first` gets the first of
   * them, the next group the next. One call for many events: what compaction costs is calls.
   */
  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void;
  /** `mergeYounger`, to the bit, for each pair (group, the younger group that it takes in), one after the other. */
  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void;
}

/** `startEach` of an accumulator whose work on an event costs more than a call. */
export function startOneByOne(
  accumulator: Accumulator,
  into: Cells,
  first: number,
  raw: Cells,
  begin: number,
  end: number,
  { stride, objectStride, rawStride, rawObjectStride }: Strides,
): void {
  for (let i = begin; i < end; i++) {
    const group = first + i - begin;
    accumulator.clear(into, group * stride, group * objectStride);
    accumulator.add(into, group * stride, group * objectStride, raw, i * rawStride, i * rawObjectStride);
  }
}

/** `mergeEach` of such an accumulator. */
export function mergeOneByOne(
  accumulator: Accumulator,
  groups: Cells,
  pairs: readonly number[],
  { stride, objectStride }: Strides,
): void {
  for (let i = 0; i < pairs.length; i += 2) {
    const group = pairs[i]!;
    const younger = pairs[i + 1]!;
    accumulator.mergeYounger(
      groups,
      group * stride,
      group * objectStride,
      groups,
      younger * stride,
      younger * objectStride,
    );
  }
}

/** Stands for a result that cannot be given: the read's status is ERROR. */
export const FAILED: unique symbol = Symbol("failed");
