/**
 * States of one view that lie in somebody's cells, one beside the other, and are read and folded into where they lie:
 * nothing is decoded before, encoded after, or allocated.
 *
 *     at:  place in the log, list | lifetime | its values | . | bucket | bucket | .. | raw | raw | raw | room for some more
 *
 * Values that are not numbers, the first and last ones of all time, have a little room to become longer (`placed-values.ts`).
 * Buckets begin at a multiple of a bucket's cells, raw records at one of a record's, as both are counted from the
 * beginning of the array that they are in. So a state may be moved only by `put`.
 */
import { PLACED_LIST_CELLS } from "./bucket-list.ts";
import { emptyState, type FoldState } from "./fold-state.ts";
import { openValues, PlacedValue, putValues, settleValues, valueCellsMin, valueRoomCells } from "./placed-values.ts";
import type { StateLayout } from "./state-codec.ts";
import type { PlacedFold } from "./view-fold.ts";

/** Last offset, last known time, last event time, event count. */
const PLACE_CELLS = 4;
const LIFETIME_AT = PLACE_CELLS + PLACED_LIST_CELLS;
/** A state gets room for so many events more, and for an eighth of those that it has. */
const ROOM_RECORDS = 4;

/** Whether all that there is in a view's states, buckets and raw records among it, is numbers and values of a lifetime. */
export function isPlaceable({ lifetime, list }: StateLayout): boolean {
  return lifetime.hasValuesAlone && list.objectStride + list.rawObjectStride === 0;
}

export class PlacedStates implements PlacedFold<FoldState> {
  readonly #layout: StateLayout;

  /** Of a view whose states are placeable. */
  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  cursor(): FoldState {
    const { lifetime } = this.#layout;
    return emptyState(
      lifetime,
      Array.from({ length: lifetime.objectStride }, () => new PlacedValue()),
    );
  }

  cellsMin({ list, lifetime: { objects } }: FoldState): number {
    const { lifetime, list: layout } = this.#layout;
    // Both beginnings may have to be up to a group further on.
    const groups = (list.bucketCount + 1) * layout.stride + (list.rawCount + 1) * layout.rawStride - 2;
    return LIFETIME_AT + lifetime.stride + valueCellsMin(objects) + groups;
  }

  cellsWithRoom(state: FoldState): number {
    const records = ROOM_RECORDS + (state.list.rawCount >> 3);
    return this.cellsMin(state) + valueRoomCells(state.lifetime.objects) + records * this.#layout.list.rawStride;
  }

  put(state: FoldState, cells: Float64Array, at: number, size: number): void {
    cells[at] = state.lastOffset;
    cells[at + 1] = state.lastKnownTime;
    cells[at + 2] = state.lastEventTime;
    cells[at + 3] = state.eventCount;
    const lifetimeAt = at + LIFETIME_AT;
    const { list, lifetime } = this.#layout;
    const { numbers, objects } = state.lifetime;
    for (let i = 0; i < lifetime.stride; i++) cells[lifetimeAt + i] = numbers[i]!;
    let listFrom = lifetimeAt + lifetime.stride;
    if (objects.length > 0) {
      const hasRoom = size - this.cellsMin(state) >= valueRoomCells(objects);
      listFrom = putValues(objects, cells, listFrom, hasRoom);
    }
    state.list.copyTo(list, cells, at + PLACE_CELLS, listFrom, at + size);
  }

  open(cells: Float64Array, at: number, cursor: FoldState): FoldState {
    cursor.lastOffset = cells[at]!;
    cursor.lastKnownTime = cells[at + 1]!;
    cursor.lastEventTime = cells[at + 2]!;
    cursor.eventCount = cells[at + 3]!;
    const { numbers, objects } = cursor.lifetime;
    for (let i = 0; i < numbers.length; i++) numbers[i] = cells[at + LIFETIME_AT + i]!;
    openValues(objects, cursor.placedValues, cells, at + LIFETIME_AT + numbers.length);
    cursor.list.open(cells, at + PLACE_CELLS);
    return cursor;
  }

  settle(cursor: FoldState, cells: Float64Array, at: number): boolean {
    if (!cursor.list.settle(cells, at + PLACE_CELLS) || !settleValues(cursor.lifetime.objects, cursor.placedValues)) {
      return false;
    }
    cells[at] = cursor.lastOffset;
    cells[at + 1] = cursor.lastKnownTime;
    cells[at + 2] = cursor.lastEventTime;
    cells[at + 3] = cursor.eventCount;
    const { numbers } = cursor.lifetime;
    for (let i = 0; i < numbers.length; i++) cells[at + LIFETIME_AT + i] = numbers[i]!;
    return true;
  }

  liesIn({ list, placedValues }: FoldState, cells: Float64Array): boolean {
    if (list.buckets.numbers === cells || list.raw.numbers === cells) return true;
    return placedValues.length > 0 && placedValues[0]!.cells === cells;
  }
}
