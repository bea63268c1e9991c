/**
 * States of one view that lie in somebody's cells, one beside the other, and are read and folded into where they lie:
 * nothing is decoded before, encoded after, or allocated.
 *
 *     at:  place in the log, list | lifetime | . | bucket | bucket | .. | raw | raw | raw | room for some more
 *
 * Buckets begin at a multiple of a bucket's cells, raw records at one of a record's, as both are counted from the
 * beginning of the array that they are in. So a state may be moved only by `put`.
 */
import { PLACED_LIST_CELLS } from "./bucket-list.ts";
import { emptyState, type FoldState } from "./fold-state.ts";
import type { StateLayout } from "./state-codec.ts";
import type { PlacedFold } from "./view-fold.ts";

/** Last offset, last known time, last event time, event count. */
const PLACE_CELLS = 4;
const LIFETIME_AT = PLACE_CELLS + PLACED_LIST_CELLS;
/** A state gets room for so many events more, and for an eighth of those that it has. */
const ROOM_RECORDS = 4;

export class PlacedStates implements PlacedFold<FoldState> {
  readonly #layout: StateLayout;

  /** Of a view none of whose cells are objects. */
  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  cursor(): FoldState {
    return emptyState(this.#layout.lifetime);
  }

  cellsMin({ list }: FoldState): number {
    const { lifetime, list: layout } = this.#layout;
    // Both beginnings may have to be up to a group further on.
    const groups = (list.bucketCount + 1) * layout.stride + (list.rawCount + 1) * layout.rawStride - 2;
    return LIFETIME_AT + lifetime.stride + groups;
  }

  cellsWithRoom(state: FoldState): number {
    const records = ROOM_RECORDS + (state.list.rawCount >> 3);
    return this.cellsMin(state) + records * this.#layout.list.rawStride;
  }

  put(state: FoldState, cells: Float64Array, at: number, size: number): void {
    cells[at] = state.lastOffset;
    cells[at + 1] = state.lastKnownTime;
    cells[at + 2] = state.lastEventTime;
    cells[at + 3] = state.eventCount;
    const lifetimeAt = at + LIFETIME_AT;
    const { list, lifetime } = this.#layout;
    const { numbers } = state.lifetime;
    for (let i = 0; i < lifetime.stride; i++) cells[lifetimeAt + i] = numbers[i]!;
    state.list.copyTo(list, cells, at + PLACE_CELLS, lifetimeAt + lifetime.stride, at + size);
  }

  open(cells: Float64Array, at: number, cursor: FoldState): FoldState {
    cursor.lastOffset = cells[at]!;
    cursor.lastKnownTime = cells[at + 1]!;
    cursor.lastEventTime = cells[at + 2]!;
    cursor.eventCount = cells[at + 3]!;
    const { numbers } = cursor.lifetime;
    for (let i = 0; i < numbers.length; i++) numbers[i] = cells[at + LIFETIME_AT + i]!;
    cursor.list.open(cells, at + PLACE_CELLS);
    return cursor;
  }

  settle(cursor: FoldState, cells: Float64Array, at: number): boolean {
    if (!cursor.list.settle(cells, at + PLACE_CELLS)) return false;
    cells[at] = cursor.lastOffset;
    cells[at + 1] = cursor.lastKnownTime;
    cells[at + 2] = cursor.lastEventTime;
    cells[at + 3] = cursor.eventCount;
    const { numbers } = cursor.lifetime;
    for (let i = 0; i < numbers.length; i++) cells[at + LIFETIME_AT + i] = numbers[i]!;
    return true;
  }

  liesIn({ list }: FoldState, cells: Float64Array): boolean {
    return list.buckets.numbers === cells || list.raw.numbers === cells;
  }
}
