/**
 * A view's place as the store holds it: where its states are, and up to which event they are whole.
 */
import type { Micros } from "../base/micros.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace } from "../online-store/online-store.ts";
import type { TailPlace } from "./event-tail.ts";
import { outboxPrefix } from "./feature-rows.ts";
import { notePrefixes } from "./minute-notes.ts";
import { forgetTotalsOf } from "./space-totals.ts";

/** In the meta `view/<view@version>`. */
export interface StoredView {
  readonly space: StateSpace;
  readonly epoch: number;
  /** Offset of the next event to fold. */
  readonly position: number;
  readonly nextSequence: number;
  /** When the flush that wrote it began; absent where an earlier version did. */
  readonly flushedAt?: Micros;
  /** Where the newest events of its entities are that the states may lack; absent where the states hold all. */
  readonly tails?: TailPlace;
}

/** The space of a view's states in one epoch. `view` is `name@version`. */
export function stateSpace(view: string, epoch: number): StateSpace {
  return `${view}#${epoch}`;
}

/** Null where the view never ran on this store. */
export function readStoredView(store: Pick<LocalOnlineStore, "getMeta">, view: string): StoredView | null {
  const bytes = store.getMeta(viewMetaName(view));
  return bytes === null ? null : decodePlace(bytes);
}

/** All views that ever ran on this store and were not forgotten, of all sources. */
export function storedViews(store: Pick<LocalOnlineStore, "scanMeta">): { view: string; place: StoredView }[] {
  return Array.from(store.scanMeta(viewMetaName("")), ({ name, bytes }) => {
    return { view: name.slice(viewMetaName("").length), place: decodePlace(bytes) };
  });
}

function decodePlace(bytes: Uint8Array): StoredView {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as StoredView;
}

/** All metas a view has, as removals. Its spaces are to be dropped by `dropSpace`. */
export function forgetView(store: LocalOnlineStore, view: string): MetaWrite[] {
  const names = [...notePrefixes(view), outboxPrefix(view)].flatMap((prefix) =>
    [...store.scanMeta(prefix)].map(({ name }) => name),
  );
  return [...[viewMetaName(view), ...names].map((name) => ({ name, bytes: null })), ...forgetTotalsOf(store, view)];
}

/** The meta that holds a view's place. */
export function viewMetaName(view: string): string {
  return `view/${view}`;
}
