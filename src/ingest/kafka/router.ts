/**
 * Routing: a record of a source's topic as the records of its internal topics, or the reason why there are none.
 *
 * Decided here is only what the record itself and the definitions decide, so that a record that is routed again after
 * a crash fares the same. What hangs on time (an event too far ahead, an id that came before) is decided when it is
 * folded, by the known time that the first copy in the internal topic carries.
 */
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
import { stampHeaders } from "./record-stamp.ts";
import type { Route, SourceRoutes } from "./routes.ts";

/** A record of a source's topic that is an event. */
export interface RoutedRecord {
  /** One for each internal topic. */
  readonly records: readonly NewRecord[];
  /** Of its id; null for an event without one. */
  readonly claim: Claim | null;
}

export interface Router {
  /** `now` is stamped as the known time; where the source says so, the record's own time, if that is before. */
  route(record: KafkaRecord, partition: number, now: Micros): RoutedRecord | RefusedRecord;
  /** Of a record that is an event, but too far ahead of the time at which its id was claimed. */
  refuse(record: KafkaRecord, partition: number, stamp: Micros): RefusedRecord;
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
  const letterOf = ({ offset, key, value }: KafkaRecord, partition: number, error: unknown): RefusedRecord => {
    const refusal = refusalOf(error);
    const stage = refusal.code === "JSON_INVALID" ? "record" : "door";
    return { deadLetterTopic, source: source.name, stage, ...refusal, topic, partition, offset, key, value };
  };
  return {
    route(record, partition, now) {
      const { offset, value } = record;
      try {
        const row = readEvent(door, value, Number.POSITIVE_INFINITY as Micros);
        const knownTime = source.kafka?.knownTime === "record" ? Math.min(now, record.timestampMs * 1000) : now;
        const headers = stampHeaders(knownTime, topicId, partition, offset);
        const records = targets.map(({ topic: target, partitionCount, keyOf }): NewRecord => {
          const entityKey = Buffer.from(keyOf(row));
          return {
            topic: target,
            partition: partitionOfKey(entityKey, partitionCount),
            key: entityKey,
            value,
            headers,
          };
        });
        const { id, eventTime } = row;
        if (id === null || claims === null) return { records, claim: null };
        const place = { topicId, partition, offset };
        const count = partitionCounts.get(claims.topic)!;
        return { records, claim: claimOf(claims.topic, count, { id, eventTime, headers }, place) };
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
