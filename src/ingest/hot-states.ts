/**
 * The states of one view that are in use: read from the store when asked for, written back by the
 * flush unless what changed them is in a tail (`tail-group.ts`), let go when there are too many.
 *
 * A state that the store does not yet hold as it is (changed, or in a commit under way) is never let go.
 *
 * States that are numbers and first and last values of all time, as most are, lie beside the heap and are folded into there
 * (`placed-states.ts`); others are objects of it (`object-states.ts`).
 *
 * While there is room all that is asked for stays. Once there is none, only each so many-th of what is not in memory
 * takes the place of something that is: what is asked for often is in before long, and what is asked for once is not
 * worth what letting go and keeping take.
 */
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { EntitySlots } from "./entity-slots.ts";
import type { SpaceTotals } from "./space-totals.ts";

/** A state to fold into: good until another of its view is asked for. */
export interface HotState<S extends ViewState = ViewState> {
  readonly state: S;
}

export interface HotStatesOptions<S extends ViewState> {
  readonly fold: ViewFold<S>;
  readonly store: LocalOnlineStore;
  readonly space: StateSpace;
  /** That the space is of. */
  readonly epoch: number;
  readonly countMax?: number;
  /** Asked each time, as it may change. */
  readonly bytesMax?: () => number;
  /** The same of states that are objects of the heap, where it is another. */
  readonly heapBytesMax?: () => number;
  /** Shared with other views of the same entities; else its own. */
  readonly slots?: EntitySlots;
}

export interface HotStates<S extends ViewState = ViewState> {
  readonly space: StateSpace;
  /** Told of every change that is written, where there are any. */
  totals: SpaceTotals | null;
  /** Brings a state that was just read to the present where the store has more of it than was written whole. */
  catchUp: ((key: EntityKey, state: S) => void) | null;
  /** Of states in memory. */
  readonly count: number;
  /** Changed since the last flush began. */
  readonly dirtyCount: number;
  /** Changed states that are to be written whole. */
  readonly wholeCount: number;
  /** The entity's state, or null where nothing was folded for it. Good until another is asked for. */
  get(key: EntityKey): S | null;
  /** The entity's state to fold into: an empty one where there is none. Once it has changed it is to be marked dirty. */
  entry(key: EntityKey): HotState<S>;
  /** Another state in place of the entity's, which is to be marked dirty. */
  replace(key: EntityKey, state: S): HotState<S>;
  /**
   * To be called each time the state has changed, before another is asked for. `inTail`: what changed it is in its tail,
   * which is written by others. A state that is new is written all the same.
   */
  markDirty(entry: HotState<S>, inTail?: boolean): void;
  /** Encoded size when last read or written; 0 where it is not in memory or was never written. */
  bytesOf(key: EntityKey): number;
  /** What is to be written of the changed states as they are now; `committed` is to be called once they are in the store. */
  takeWrites(): { readonly states: StateWrite[]; committed(): void };
  /** To be called where they are needed no more. */
  leave(): void;
}
