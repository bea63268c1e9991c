/**
 * Records that could not be used, in a topic of their own: the record as it came, and headers that say why.
 *
 * A letter's key names the record (and the view, for one that a view could not fold), so that a letter that a crash
 * makes twice has the same key twice, and a compacted topic keeps one. Topics are named by their ids: of one that was deleted
 * and made anew the records stand at the same places.
 */
import type { Clock } from "../../base/clock.ts";
import { asOnefoldError, type ErrorCode } from "../../base/errors.ts";
import { formatMicros } from "../../base/micros.ts";
import { originText } from "./origin.ts";
import { CORRECTS_HEADER } from "./record-stamp.ts";
import type { NewRecord } from "./records.ts";

export interface RefusedRecord {
  readonly deadLetterTopic: string;
  readonly source: string;
  /** Where it failed: as a record, at the door, or in the fold of a view. */
  readonly stage: "record" | "door" | "fold";
  readonly view?: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Where it stands: topic, partition and offset of the source. */
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** The id whose events it would take back. */
  readonly corrects?: Buffer | undefined;
}

/** Id of the topic that the record stands in; letters of an earlier version have none. */
export const TOPIC_ID_HEADER = "onefold-topic-id";

const MESSAGE_CHARACTERS_MAX = 500;

export function refusalOf(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  const { code, message } = asOnefoldError(error);
  return { code, message };
}

export function letterRecord(refused: RefusedRecord, clock: Clock): NewRecord {
  const { deadLetterTopic, source, stage, view, code, message, key, value, corrects } = refused;
  const { topic, topicId, partition, offset } = refused;
  const place = `${topic}/${partition}/${offset}`;
  const headers = new Map<string, string | Buffer>([
    ["onefold-code", code],
    ["onefold-message", message.slice(0, MESSAGE_CHARACTERS_MAX)],
    ["onefold-stage", stage],
    ["onefold-source", source],
    ["onefold-record", place],
    [TOPIC_ID_HEADER, topicId],
    ["onefold-at", formatMicros(clock.now())],
  ]);
  if (view !== undefined) headers.set("onefold-view", view);
  if (key !== null) headers.set("onefold-key", key);
  if (corrects !== undefined) headers.set(CORRECTS_HEADER, corrects);
  const record = originText(topicId, partition, offset);
  const letterKey = Buffer.from(view === undefined ? record : `${record}:${view}`);
  // A compacted topic drops what has no value; an empty one takes events back, too.
  const kept = value === null && corrects !== undefined ? Buffer.alloc(0) : value;
  return { topic: deadLetterTopic, partition: 0, key: letterKey, value: kept, headers };
}
