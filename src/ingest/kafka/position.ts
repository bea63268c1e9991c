/**
 * How far a partition is folded: what the decisions about its next records hang on, all of it in one value.
 *
 * It is stored beside the states, after them, under the version of its offset: an older position never takes the
 * place of a newer one. Records behind a stored position may already be in some states; those skip them.
 */
import type { StateVersion, StoredState } from "../../online-store/online-store.ts";

export const POSITION_SPACE = "kafka-positions";

export interface FoldPosition {
  /** Id of the topic whose offsets these are. */
  readonly topicId: string;
  /** Offset of the next record to take. */
  readonly offset: number;
  /** Largest known time taken; the next event is known at that or later. Null at first. */
  readonly knownTime: number | null;
  /** Largest offset taken of each source partition. */
  readonly origins: Readonly<Record<string, number>>;
  /** Offset of the next record that each view folds: not before `offset`. */
  readonly views: Readonly<Record<string, number>>;
}

export function positionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

export function encodePosition(position: FoldPosition): StateVersion & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(position)));
  return { epoch: 0, offset: position.offset, bytes };
}

export function decodePosition(stored: StoredState): FoldPosition {
  return JSON.parse(Buffer.from(stored.bytes).toString("utf8")) as FoldPosition;
}
