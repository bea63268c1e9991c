/** Views that are folded no more, or under another definition: what was folded of them goes for good. */
import { forgetTotals } from "../ingest/space-totals.ts";
import { forgetView, readStoredView, stateSpace } from "../ingest/stored-view.ts";
import type { LocalOnlineStore, WorkPace } from "../online-store/online-store.ts";
import { allBackfills, backfillMeta } from "./backfill-place.ts";
import { dropLater, dropNoted } from "./dropped-spaces.ts";
import { builtMetaName, type HistoryPlace } from "./view-builder.ts";

/**
 * Removes what was folded under a name for good: of a draft that was changed, moved to another source or dropped, and of a
 * version that was retired. Nothing may be folding it any more. Cut short, the states are out of reach already, and the next
 * call removes them, whatever is stale then. Throws `CANCELLED`.
 */
export async function forgetStaleViews(
  store: LocalOnlineStore,
  pace: WorkPace,
  isStale: (view: string, fingerprint: string) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  for (const { name, bytes } of Array.from(store.scanMeta(builtMetaName("")))) {
    const view = name.slice(builtMetaName("").length);
    const { fingerprint, epoch, space, former } = JSON.parse(Buffer.from(bytes).toString("utf8")) as HistoryPlace;
    if (!isStale(view, fingerprint)) continue;
    const built = space ?? stateSpace(view, epoch);
    const spaces = new Set([
      readStoredView(store, view)?.space ?? built,
      built,
      ...(former === undefined ? [] : [former]),
    ]);
    const notes = Array.from(spaces, dropLater);
    await store.commitAlone([], [...forgetView(store, view), { name, bytes: null }, ...notes]);
  }
  for (const [view, { fingerprint, space }] of allBackfills(store)) {
    if (!isStale(view, fingerprint)) continue;
    await store.commitAlone([], [backfillMeta(view, null), ...forgetTotals(store, space), dropLater(space)]);
  }
  await dropNoted(store, pace, signal);
}
