/**
 * A chunk of states that lie one behind another, each behind its head, and the numbers by which they are found.
 *
 *     head:   cells of head and state, slot of the entity, flags, the round it was changed in last, encoded size, time of
 *             the last event as it was counted
 */
import { NO_SLOT } from "./entity-slots.ts";

/** Of a place: its cell; above it is its chunk. */
const PLACE_BITS = 17;
export const CHUNK_CELLS_MAX: number = 2 ** PLACE_BITS;
/** The last place of the next one would be `NOT_THERE`. */
export const CHUNKS_MAX: number = 2 ** (32 - PLACE_BITS) - 1;
export const NOT_THERE = -1;
export const HEAD_CELLS = 6;

/** Cells of a head. */
export const SIZE = 0;
export const SLOT = 1;
export const FLAGS = 2;
export const CHANGED_IN = 3;
export const STORED_BYTES = 4;
export const COUNTED_TIME = 5;

export const USED = 1;
/** Changed in a way that the store will know only once the state is written whole: its tail does not say it. */
export const WHOLE = 2;
/** A guest that is part of a commit under way. */
export const FLUSHING = 4;

export class Chunk {
  cells: Float64Array;
  readonly isOfGuests: boolean;
  end = 0;
  count = 0;
  /** Cells of the states that are in it. */
  live = 0;

  constructor(cells: Float64Array, isOfGuests: boolean) {
    this.cells = cells;
    this.isOfGuests = isOfGuests;
  }

  /** Puts the slots of all states that are in it behind the others. */
  addSlotsTo(slots: number[]): void {
    const { cells, end } = this;
    for (let at = 0; at < end; at += cells[at + SIZE]!) {
      if (cells[at + SLOT] !== NO_SLOT) slots.push(cells[at + SLOT]!);
    }
  }

  hasRoomForGuest(size: number): boolean {
    const { cells, end } = this;
    return end + size <= (end === 0 ? cells.length : Math.min(cells.length, CHUNK_CELLS_MAX));
  }
}

/** What a head says beside its size and slot. */
export function writeNewHead(cells: Float64Array, at: number): void {
  cells[at + FLAGS] = 0;
  cells[at + CHANGED_IN] = 0;
  cells[at + STORED_BYTES] = 0;
  cells[at + COUNTED_TIME] = Number.NEGATIVE_INFINITY;
}

/** The same as another head says it. */
export function copyHead(from: Float64Array, at: number, to: Float64Array, end: number): void {
  for (let cell = FLAGS; cell < HEAD_CELLS; cell++) to[end + cell] = from[at + cell]!;
}

export function placeOf(chunk: number, cell: number): number {
  return (chunk << PLACE_BITS) | cell;
}

export function chunkOf(place: number): number {
  return place >>> PLACE_BITS;
}

export function cellOf(place: number): number {
  return place & (CHUNK_CELLS_MAX - 1);
}
