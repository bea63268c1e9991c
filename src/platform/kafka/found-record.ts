/**
 * What is kept of a record that is to be taken out of a topic: its place, and what stands there for it then. Not its value: an entity
 * may have very many, and a part of a fetched answer would hold all of it in memory.
 */
import { blankRecord, type ForgetMark, markRecord } from "../../ingest/kafka/forget-records.ts";
import { KNOWN_TIME_HEADER, ORIGIN_HEADER } from "../../ingest/kafka/record-stamp.ts";
import type { KafkaRecord, NewRecord, TopicPartition } from "../../ingest/kafka/records.ts";
import type { EntityKey } from "../../schema/entity-key.ts";

export interface FoundRecord extends TopicPartition {
  readonly offset: number;
  /** Of key, value and headers. */
  readonly bytes: number;
  /** As Latin-1, whatever it is. */
  readonly key: string;
  readonly stamp: readonly (readonly [name: string, text: string])[];
  /** Of a mark that names the entity. */
  readonly mark: ForgetMark | null;
  /** That it may have been noted for. */
  readonly id: TakenId | null;
}

/** `key`: of the entity that it was taken for; none where it was taken for the whole source. */
export interface TakenId {
  readonly id: string;
  readonly key: EntityKey;
}

export function foundRecord(
  { topic, partition }: TopicPartition,
  record: KafkaRecord,
  { mark = null, id = null }: Partial<Pick<FoundRecord, "mark" | "id">> = {},
): FoundRecord {
  const { offset, key, value } = record;
  const headers = record.headers();
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of headers) bytes += name.length + text.length;
  const stamp = [ORIGIN_HEADER, KNOWN_TIME_HEADER].flatMap((name) => {
    const text = headers.get(name);
    return text === undefined ? [] : [[name, text.toString()] as const];
  });
  return { topic, partition, offset, bytes, key: key!.toString("latin1"), stamp, mark, id };
}

/** Takes its place: of a mark one that names nobody. */
export function replacementOf({ topic, partition, key, stamp, mark }: FoundRecord): NewRecord {
  const at = { topic, partition };
  const own = Buffer.from(key, "latin1");
  if (mark !== null) return markRecord(at, own, { ...mark, own: null });
  return blankRecord(at, {
    key: own,
    headers: () => new Map(stamp.map(([name, text]) => [name, Buffer.from(text)])),
  });
}
