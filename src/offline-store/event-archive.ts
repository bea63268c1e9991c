/**
 * All events of one source as an open table: `events/<source>`.
 *
 * Columns: the source's stored columns (all nullable in the table), then `_event_time` and `_known_time`
 * (timestamp), `_offset` (int64: the place in the one order) and `_id` (string). History files carry the
 * tag `segment=history` and have offsets from HISTORY_BASE (src/schema/event-offset.ts) on; live ones `segment=live`, offsets from 0,
 * and `endOffset`: where they end, whatever of them was forgotten since.
 *
 * A retraction is a live row with an `_offset`, a `_known_time` and an `_id`, and null in all else, `_event_time` too: the
 * events of that id with smaller offsets count no more from there on. Files that hold some carry the tag `retractions`.
 *
 * An epoch is one arrangement of history. Importing behind positions already folded rewrites the history
 * files in a commit that opens the next epoch; the files of earlier epochs stay, so that tokens keep
 * their meaning.
 */
import type { EntityKey } from "../schema/entity-key.ts";
import type { FillBatch } from "./engine.ts";
import type { TableFile } from "./offline-store.ts";

/**
 * Live events one after another, as columns: the stored ones in schema order, then event time (null for a retraction),
 * known time, offset and id.
 */
export type LiveColumns = FillBatch;

/** Live events that may be archived. */
export interface LiveEvents {
  /** Offset behind the last of them. */
  readonly end: number;
  /** All from this offset on, in order and without a gap. A batch is good until the next is asked for. */
  read(from: number): AsyncIterable<LiveColumns>;
}

export interface EventFiles {
  readonly epoch: number;
  readonly history: readonly TableFile[];
  readonly live: readonly TableFile[];
  /** Offset behind the last archived live event. */
  readonly liveEnd: number;
  /** Offset behind the last history event; HISTORY_BASE without history. */
  readonly historyEnd: number;
  /** Largest known time archived, as microseconds; -Infinity for an empty table. */
  readonly lastKnownTime: number;
  /** Of events in several partitions: those that views keyed by these columns are folded from. `live` is empty then. */
  keyedBy?(columns: readonly string[]): KeyedFiles;
}

/** Events in several partitions, all of an entity's in one, with offsets of its own. */
export interface KeyedFiles {
  readonly files: readonly TableFile[];
  /** Offset behind the last archived event of the partition that the entity's events are in. */
  endOf(key: EntityKey): number;
}

/** All files that views keyed by these columns are folded from. */
export function filesBehind(files: EventFiles, keyColumns: readonly string[]): readonly TableFile[] {
  return files.keyedBy?.(keyColumns).files ?? [...files.history, ...files.live];
}

export interface EventArchive {
  /** The files that make up one epoch's order (default: the present epoch). Throws `EPOCH_UNKNOWN`. */
  files(epoch?: number): Promise<EventFiles>;
  /** Adds those from `liveEnd` on in one atomic commit; where there is none of them, nothing. */
  appendLive(events: LiveEvents): Promise<void>;
}
