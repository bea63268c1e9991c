/**
 * Routing: a record of a source's topic as the records of its internal topics, or the reason why there are none.
 *
 * Decided here is only what the record itself and the definitions decide, so that a record that is routed again after
 * a crash fares the same. What hangs on time (an event too far ahead, an id that came before) is decided when it is
 * folded, by the known time that the first copy in the internal topic carries. But a correction whose event has no claim
 * is refused here as a whole where its event is too far ahead of the record's own time, or of the clock where that is
 * before: so that nothing is taken back for an event that is then refused.
 */
import { isUtf8 } from "node:buffer";
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import { encodeEntityKey } from "../../schema/entity-key.ts";
import type { ValueType } from "../../schema/value.ts";
import { parseJsonText } from "../../schema/json-text.ts";
import { compileDoor, type Door } from "../door.ts";
import type { CheckedRow } from "../event.ts";
import { type Claim, claimOf } from "./claim-fold.ts";
import type { KafkaRecord, NewRecord } from "./records.ts";
import { type RefusedRecord, refusalOf } from "./dead-letter-topic.ts";
import { partitionOfKey } from "./key-partition.ts";
import { retractionOrigin } from "./origin.ts";
import { RecordKeys } from "./record-keys.ts";
import { CORRECTS_HEADER, stampHeaders } from "./record-stamp.ts";
import type { Route, SourceRoutes } from "./routes.ts";

/** A record of a source's topic that is an event, or takes back others. */
export interface RoutedRecord {
  /** An event for each internal topic, behind a retraction for each partition of them. */
  readonly records: readonly NewRecord[];
  /** Of its id; null for an event without one. */
  readonly claim: Claim | null;
  readonly isCorrection: boolean;
}

export interface Router {
  readonly routes: SourceRoutes;
  /** `now` is stamped as the known time; where the source says so, the record's own time, if that is before. */
  route(record: KafkaRecord, partition: number, now: Micros): RoutedRecord | RefusedRecord;
  /** Of a record that is an event, but too far ahead of the time at which its id was claimed. */
  refuse(record: KafkaRecord, partition: number, stamp: Micros): RefusedRecord;
  letter(record: KafkaRecord, partition: number, error: unknown): RefusedRecord;
}

/** `topicId` is the source topic's; `partitionCounts` are the internal topics'. */
export function compileRouter(
  routes: SourceRoutes,
  topicId: string,
  partitionCounts: ReadonlyMap<string, number>,
): Router {
  const { source } = routes;
  const door = compileDoor(
    source,
    routes.routes.flatMap(({ views }) => views),
  );
  const targets = routes.routes.map((route) => {
    const keyOf = compileKey(route);
    return { topic: route.topic, partitionCount: partitionCounts.get(route.topic)!, keyOf };
  });
  const { deadLetterTopic, topic, claims } = routes;
  const keys = new RecordKeys();
  const letterOf = (record: KafkaRecord, partition: number, error: unknown): RefusedRecord => {
    const { offset, key, value } = record;
    const corrects = record.headers().get(CORRECTS_HEADER);
    const refusal = refusalOf(error);
    const stage = refusal.code === "JSON_INVALID" ? "record" : "door";
    const place = { topic, topicId, partition, offset };
    return { deadLetterTopic, source: source.name, stage, ...refusal, ...place, key, value, corrects };
  };
  /** Who has the id is not known here, so every partition is told. */
  const retractions = (corrects: string, stamp: ReadonlyMap<string, string>): NewRecord[] => {
    const headers = new Map([...stamp, [CORRECTS_HEADER, corrects]]);
    return targets.flatMap(({ topic: target, partitionCount }) =>
      Array.from({ length: partitionCount }, (_, to): NewRecord => {
        return { topic: target, partition: to, key: keys.next(), value: null, headers, hasOwnKey: true };
      }),
    );
  };
  return {
    routes,
    letter: letterOf,
    route(record, partition, now) {
      const { offset, value } = record;
      try {
        const corrects = correctedId(record);
        const isCorrection = corrects !== undefined;
        const knownTime = source.kafka?.knownTime === "record" ? Math.min(now, record.timestampMs * 1000) : now;
        const takenBack = isCorrection
          ? retractions(corrects, stampHeaders(knownTime, topicId, partition, retractionOrigin(offset)))
          : [];
        if (isCorrection && source.id === undefined) throw withoutIds(source.name);
        if (isCorrection && (value === null || value.length === 0))
          return { records: takenBack, claim: null, isCorrection };
        // Without a claim nobody decides before its retraction is there whether the event is too far ahead.
        const isDecided = isCorrection && claims === null;
        const decidedBy = isDecided ? Math.min(now, record.timestampMs * 1000) : Number.POSITIVE_INFINITY;
        const row = readEvent(door, value, decidedBy as Micros);
        if (isCorrection && row.id !== corrects) throw otherId(row.id, corrects);
        const headers = stampHeaders(knownTime, topicId, partition, offset);
        if (isCorrection) headers.set(CORRECTS_HEADER, corrects);
        const events = targets.map(({ topic: target, partitionCount, keyOf }): NewRecord => {
          const entityKey = Buffer.from(keyOf(row));
          return {
            topic: target,
            partition: partitionOfKey(entityKey, partitionCount),
            key: keys.next(),
            value,
            headers,
            hasOwnKey: true,
          };
        });
        const records = isCorrection ? [...takenBack, ...events] : events;
        const { id, eventTime } = row;
        if (id === null || claims === null) return { records, claim: null, isCorrection };
        const place = { topicId, partition, offset };
        const count = partitionCounts.get(claims.topic)!;
        const event = { key: keys.next(), id, eventTime, headers };
        return { records, claim: claimOf(claims.topic, count, event, place), isCorrection };
      } catch (error) {
        return letterOf(record, partition, error);
      }
    },
    refuse(record, partition, stamp) {
      try {
        readEvent(door, record.value, stamp);
      } catch (error) {
        return letterOf(record, partition, error);
      }
      throw new OnefoldError(
        "INTERNAL",
        `a claim of ${topic}/${partition}/${record.offset} was refused without a reason`,
      );
    },
  };
}

/** Undefined for a record that is no correction. */
function correctedId(record: KafkaRecord): string | undefined {
  const id = record.headers().get(CORRECTS_HEADER);
  if (id === undefined || (isUtf8(id) && !id.includes(0))) return id?.toString();
  throw new OnefoldError("CORRECTION_REFUSED", "the id to be corrected is no UTF-8 text, or has a NUL in it", {
    where: CORRECTS_HEADER,
  });
}

function withoutIds(source: string): OnefoldError {
  return new OnefoldError("CORRECTION_REFUSED", `the events of source ${source} have no ids to be corrected by`, {
    hint: 'declare the column that tells events apart: id: "payment_id"',
  });
}

function otherId(id: string | null, corrects: string): OnefoldError {
  return new OnefoldError("CORRECTION_REFUSED", `the new event has the id ${id}, not ${corrects.slice(0, 100)}`, {
    where: CORRECTS_HEADER,
  });
}

/** The checked row of a record's value. Throws what the door throws, `JSON_INVALID` for a value that is none. */
export function readEvent(door: Door, value: Buffer | null, knownTime: Micros): CheckedRow {
  if (value === null) throw new OnefoldError("JSON_INVALID", "the record has no value");
  return door.check(parseJsonText(value.toString("utf8")), knownTime);
}

/** Canonical key text of a row, by the route's key columns. */
export function compileKey({ source, key, views }: Route): (row: CheckedRow) => string {
  const columns = [...source.columns, ...source.derived].map(({ name }) => name);
  const places = key.map((name) => columns.indexOf(name));
  const types: readonly ValueType[] = views[0]!.entity.keys.map(({ type }) => type);
  return ({ row }) =>
    encodeEntityKey(
      places.map((place) => row[place] ?? null),
      types,
    );
}
