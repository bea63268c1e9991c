/** Spaces that are gone on this machine, and whose copies are still to be removed: metas of the local store. */
import type { LocalOnlineStore, MetaWrite, StateSpace } from "../../online-store/online-store.ts";

const PREFIX = "unpublish/";

export function dropNote(space: StateSpace): MetaWrite {
  return { name: PREFIX + space, bytes: new Uint8Array(Buffer.from("{}")) };
}

export function withoutNote(space: StateSpace): MetaWrite {
  return { name: PREFIX + space, bytes: null };
}

export function notedDrops(store: Pick<LocalOnlineStore, "scanMeta">): StateSpace[] {
  return Array.from(store.scanMeta(PREFIX), ({ name }) => name.slice(PREFIX.length));
}
