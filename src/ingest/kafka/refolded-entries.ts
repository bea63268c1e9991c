/**
 * States of a partition while a run of corrections is folded: of the entities that lose an event by it, as they were
 * before the run without what it takes back, moved on along the run.
 */
import { assert } from "../../base/assert.ts";
import type { ViewState } from "../../fold/view-fold.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { FoldedEvent, RefoldedViews } from "./folded-partition.ts";
import type { RoutedView } from "./routes.ts";

/** A state in the hands of the partition's owner. */
export interface StateEntry {
  readonly view: RoutedView;
  readonly key: EntityKey;
  readonly state: ViewState;
  isDirty: boolean;
  /** Of an entity that is forgotten: where, as long as nothing was folded since. */
  readonly goneAt?: number;
}

export const NOTHING_REFOLDED: RefoldedViews = new Map();

export class RefoldedEntries {
  readonly #refolded: RefoldedViews;
  readonly #byView = new Map<RoutedView, ReadonlyMap<EntityKey, StateEntry>>();

  constructor(refolded: RefoldedViews, views: readonly RoutedView[]) {
    this.#refolded = refolded;
    for (const view of refolded.size === 0 ? [] : views) {
      const { states, hit, forgets } = refolded.get(view.foldName)!;
      const entries = Array.from(states, ([key, state]) => {
        const isGone = forgets === true && state.lastOffset === Number.NEGATIVE_INFINITY;
        const goneAt = isGone ? { goneAt: Math.max(...hit.keys()) } : {};
        return [key, { view, key, state, isDirty: true, ...goneAt }] as const;
      });
      this.#byView.set(view, new Map(entries));
    }
  }

  get(view: RoutedView, key: EntityKey): StateEntry | undefined {
    return this.#byView.get(view)?.get(key);
  }

  /** Whether the run itself takes the event back. */
  isTakenBack({ foldName }: RoutedView, offset: number): boolean {
    return this.#refolded.get(foldName)?.takenBack.has(offset) === true;
  }

  /** The states of who loses an event by the retraction move on to its place. */
  takeBack(view: RoutedView, retraction: FoldedEvent): void {
    const run = this.#refolded.get(view.foldName);
    assert(run !== undefined, `view ${view.name} was told what the retraction at ${retraction.offset} does`);
    for (const key of run.hit.get(retraction.offset) ?? []) view.fold.fold(this.get(view, key)!.state, retraction);
  }

  [Symbol.iterator](): IterableIterator<StateEntry> {
    return [...this.#byView.values()].flatMap((entries) => [...entries.values()]).values();
  }
}
