/**
 * Records of internal topics by which an entity is forgotten. They have a value of no bytes, which no event has.
 *
 *     e(ada) e(bob) e(ada) │ mark: 0 2 │ blank 0, blank 2, mark without the key      ─▶ compacted: e(bob) │ blanks, mark
 *
 * - A **mark** says at which offsets before it in its partition the forgotten events stand. Whoever folds the partition folds
 *   those entities anew that have some of them. While it is under way it names the entity, too; a mark with the same key takes its
 *   place then, which names nobody.
 * - A **blank** takes the place of one record, whose key and origin it has: Kafka drops the record, and a copy of it that a
 *   router may still append counts no more than before.
 * - A **filler** stands behind them, so that they are in a segment that Kafka compacts.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import type { KafkaRecord, NewRecord, TopicPartition } from "./records.ts";
import { KNOWN_TIME_HEADER, ORIGIN_HEADER } from "./record-stamp.ts";

const FORGETS_HEADER = "onefold-forgets";
const FORGETS_ENTITY_HEADER = "onefold-forgets-entity";
const FORGOTTEN_HEADER = "onefold-forgotten";
const NO_BYTES = Buffer.alloc(0);

export interface ForgetMark {
  /** In the partition, rising. */
  readonly offsets: readonly number[];
  /** Of the entity whose own partition it is, while it is being forgotten. */
  readonly own: { readonly entity: string; readonly key: EntityKey } | null;
}

export function markRecord(at: TopicPartition, key: Buffer, { offsets, own }: ForgetMark): NewRecord {
  const headers = new Map([[FORGETS_HEADER, offsetsText(offsets)]]);
  if (own !== null) headers.set(FORGETS_ENTITY_HEADER, JSON.stringify([own.entity, own.key]));
  return { ...at, key, value: NO_BYTES, headers };
}

/** Takes the place of a record with this key. */
export function blankRecord(at: TopicPartition, { key, headers }: Pick<KafkaRecord, "key" | "headers">): NewRecord {
  const kept = new Map<string, string | Buffer>([[FORGOTTEN_HEADER, ""]]);
  const before = headers();
  for (const name of [ORIGIN_HEADER, KNOWN_TIME_HEADER]) {
    const text = before.get(name);
    if (text !== undefined) kept.set(name, text);
  }
  return { ...at, key, value: NO_BYTES, headers: kept };
}

export function fillerRecord(at: TopicPartition): NewRecord {
  return { ...at, key: Buffer.from("onefold-filler"), value: NO_BYTES, headers: new Map([[FORGOTTEN_HEADER, ""]]) };
}

/** Of few records headers are read. */
function mayBeOfForgetting({ value }: KafkaRecord): boolean {
  return value !== null && value.length === 0;
}

export function isBlank(record: KafkaRecord): boolean {
  return mayBeOfForgetting(record) && record.headers().has(FORGOTTEN_HEADER);
}

export function isMark(record: KafkaRecord): boolean {
  return mayBeOfForgetting(record) && record.headers().has(FORGETS_HEADER);
}

/** Null for a record that is none. */
export function readMark(record: KafkaRecord): ForgetMark | null {
  if (!mayBeOfForgetting(record)) return null;
  const headers = record.headers();
  const offsets = headers.get(FORGETS_HEADER);
  if (offsets === undefined) return null;
  const own = headers.get(FORGETS_ENTITY_HEADER);
  const [entity, key] = own === undefined ? [] : (JSON.parse(own.toString()) as [string, EntityKey]);
  return {
    offsets: parseOffsets(offsets.toString()),
    own: entity === undefined || key === undefined ? null : { entity, key },
  };
}

/** As differences: an entity may have many. */
export function offsetsText(offsets: readonly number[]): string {
  let before = 0;
  return offsets
    .map((offset) => {
      const step = offset - before;
      before = offset;
      return step.toString(36);
    })
    .join(",");
}

export function parseOffsets(text: string): number[] {
  if (text === "") return [];
  let offset = 0;
  return text.split(",").map((step) => (offset += Number.parseInt(step, 36)));
}
