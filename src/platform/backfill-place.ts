/**
 * What is known of a backfill under way, in the meta `building/<view@version>`: what it builds, up to which position,
 * where, and how far it has got. It goes on from there as long as all of that is still what is wanted.
 */
import type { RebuildPlace } from "../ingest/rebuild-place.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace } from "../online-store/online-store.ts";

export interface BackfillPlace {
  readonly fingerprint: string;
  readonly epoch: number;
  /** Offset behind the history that it folds. */
  readonly historyEnd: number;
  /** Live offset behind the last event that it folds; the view catches up with the log from there. */
  readonly upTo: number;
  readonly space: StateSpace;
  /** Null until the first states are written. */
  readonly place: RebuildPlace | null;
}

const PREFIX = "building/";

export function readBackfill(store: Pick<LocalOnlineStore, "getMeta">, view: string): BackfillPlace | null {
  const bytes = store.getMeta(`${PREFIX}${view}`);
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as BackfillPlace);
}

/** null removes it. */
export function backfillMeta(view: string, backfill: BackfillPlace | null): MetaWrite {
  const bytes = backfill === null ? null : new Uint8Array(Buffer.from(JSON.stringify(backfill)));
  return { name: `${PREFIX}${view}`, bytes };
}

/** All that are under way or were cut short, by view. */
export function* allBackfills(store: LocalOnlineStore): IterableIterator<readonly [view: string, BackfillPlace]> {
  for (const { name, bytes } of Array.from(store.scanMeta(PREFIX))) {
    yield [name.slice(PREFIX.length), JSON.parse(Buffer.from(bytes).toString("utf8")) as BackfillPlace];
  }
}
