/**
 * Spaces of views that were forgotten, whose states are still to be removed: noted in the very commit that forgets the view,
 * which alone knew of them, and until the last state is gone. So whatever ends that, the next opening goes on with it.
 *
 *     dropping/<space>
 */
import { forgetTotals } from "../ingest/space-totals.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace, WorkPace } from "../online-store/online-store.ts";

const PREFIX = "dropping/";

/** For the commit after which nothing else names the space. */
export function dropLater(space: StateSpace): MetaWrite {
  return { name: PREFIX + space, bytes: new Uint8Array(Buffer.from("{}")) };
}

/** Whether its states are still being removed: nothing may be written there. */
export function isDropping(store: Pick<LocalOnlineStore, "getMeta">, space: StateSpace): boolean {
  return store.getMeta(PREFIX + space) !== null;
}

/** Removes the states of all that are noted, also by a process before. Throws `CANCELLED`; the next call goes on. */
export async function dropNoted(store: LocalOnlineStore, pace: WorkPace, signal?: AbortSignal): Promise<void> {
  for (const { name } of Array.from(store.scanMeta(PREFIX))) {
    const space = name.slice(PREFIX.length);
    await store.dropSpace(space, pace, signal);
    await store.commitAlone([], [{ name, bytes: null }, ...forgetTotals(store, space)]);
  }
}
