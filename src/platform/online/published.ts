/**
 * What the owner of a data folder lets servers past its machine know through the online store, beside states and
 * places: the meta `published`, written every so often while it runs and reaches the store.
 */
import type { Micros } from "../../base/micros.ts";

/** Views of which, at that time, the store had all that was folded, with the position that it had. */
export interface Published {
  readonly at: Micros;
  readonly flushed: readonly (readonly [view: string, position: number])[];
  /** Absent of an earlier version. */
  readonly sources?: readonly PublishedSource[];
}

/** What freshness is judged by, at that time. */
export interface PublishedSource {
  readonly name: string;
  /** Null before its first event. */
  readonly lastEventAt: number | null;
  /** Known time of the oldest event that is durable and not folded; null where all are. */
  readonly oldestUnfoldedAt: number | null;
}

export const PUBLISHED_META = "published";
export const PUBLISH_BEAT_MILLIS = 200;

/**
 * How long a space that is no longer served from stays: longer than any server needs to hear of the new place, and
 * than a read under way takes.
 */
export const DROP_GRACE_MILLIS = 120_000;
/** The same of a draft, whose space is taken again at once: servers hear of places several times in this. */
export const DRAFT_GRACE_MILLIS = 500;
/** A server that has not heard where states are for so long does not read them: they may be about to be dropped. */
export const PLACE_AGE_MILLIS_MAX = 30_000;

export function publishedBytes(published: Published): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(published)));
}

export function readPublished(bytes: Uint8Array): Published {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as Published;
}
