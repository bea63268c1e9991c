/**
 * One entity's state in one view: where its log stands, the lifetime accumulators and the bucket list.
 */
import type { Accumulator, Cells } from "./accumulator.ts";
import { BucketList } from "./bucket-list.ts";
import type { PlacedValue } from "./placed-values.ts";
import type { ViewState } from "./view-fold.ts";

/** How the lifetime group is laid out; the same for all entities of a view. */
export interface LifetimeLayout {
  readonly accumulators: readonly Accumulator[];
  readonly stride: number;
  readonly objectStride: number;
  /** Whether all object cells hold values or null: what is in one never changes in place. */
  readonly hasValuesAlone: boolean;
  /** Text of the empty state of every custom aggregation, by its object cell. */
  readonly customEmpty: readonly { readonly objectCell: number; readonly text: string }[];
}

const NO_VALUES: readonly PlacedValue[] = [];

export class FoldState implements ViewState {
  lastOffset: number = Number.NEGATIVE_INFINITY;
  lastKnownTime: number = Number.NEGATIVE_INFINITY;
  lastEventTime: number = Number.NEGATIVE_INFINITY;
  eventCount: number = 0;
  readonly lifetime: Cells;
  readonly list: BucketList = new BucketList();
  /** Of a state that stands for such as lie in cells: for the values there, one an object cell of `lifetime`. */
  readonly placedValues: readonly PlacedValue[];

  constructor(lifetime: Cells, placedValues: readonly PlacedValue[] = NO_VALUES) {
    this.lifetime = lifetime;
    this.placedValues = placedValues;
  }
}

export function emptyState(layout: LifetimeLayout, placedValues?: readonly PlacedValue[]): FoldState {
  const lifetime: Cells = {
    numbers: new Float64Array(layout.stride),
    objects: Array.from<unknown>({ length: layout.objectStride }).fill(null),
  };
  clearLifetime(lifetime, layout);
  return new FoldState(lifetime, placedValues);
}

/** Empties a state but for its place in the log: what `forgetAfter` does. */
export function forget(state: FoldState, layout: LifetimeLayout): void {
  state.lastEventTime = Number.NEGATIVE_INFINITY;
  state.eventCount = 0;
  clearLifetime(state.lifetime, layout);
  state.list.clear();
}

function clearLifetime(lifetime: Cells, layout: LifetimeLayout): void {
  for (const accumulator of layout.accumulators) accumulator.clear(lifetime, 0, 0);
  for (const { objectCell, text } of layout.customEmpty) lifetime.objects[objectCell] = text;
}
