/**
 * A view's states as they are in the store: as last written whole, with the events of their tails folded in where the view
 * has tails.
 */
import type { ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { StoredTail, TailedView, TailPlace, TailReader } from "./event-tail.ts";

export interface TailedStatesOptions {
  readonly view: TailedView;
  readonly store: LocalOnlineStore;
  readonly tailReader: TailReader;
  /** The view's: events from there on are not folded. */
  readonly position: () => number;
}

export class TailedStates {
  readonly #options: TailedStatesOptions;
  /** Where the view's tails are; null where it has none. */
  tails: TailPlace | null = null;

  constructor(options: TailedStatesOptions) {
    this.#options = options;
  }

  /** Every state of a space, in key order. */
  *scan(
    space: StateSpace,
    after?: EntityKey,
  ): IterableIterator<{ readonly key: EntityKey; readonly bytes: Uint8Array }> {
    const { store, tailReader } = this.#options;
    for (const { key, bytes } of store.scan(space, after)) {
      const { tails } = this;
      if (tails === null) {
        yield { key, bytes };
        continue;
      }
      // Both of one moment: what the scan gives may be of an earlier one than the tail.
      const stored = store.get(space, key);
      const tail = tailReader.read(tails.space, key);
      if (stored === null) continue;
      yield { key, bytes: tail === null ? stored : this.#withTail(stored, tail, tails.from) };
    }
  }

  /** Folds into a state, as it was written whole, what its tail has more. */
  catchUp(key: EntityKey, state: ViewState): void {
    if (this.tails === null) return;
    const { space, from } = this.tails;
    const tail = this.#options.tailReader.read(space, key);
    if (tail !== null) this.#foldTail(state, tail, from);
  }

  #withTail(stored: Uint8Array, tail: StoredTail, from: number): Uint8Array {
    const { fold } = this.#options.view;
    const state = fold.decode(stored);
    if (tail.lastOffset <= state.lastOffset) return stored;
    this.#foldTail(state, tail, from);
    return fold.encode(state);
  }

  #foldTail(state: ViewState, tail: StoredTail, from: number): void {
    const { tailReader, view, position } = this.#options;
    tailReader.foldInto(view, state, tail, from, position());
  }
}
