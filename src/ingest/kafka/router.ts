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
import type { KafkaRecord, NewRecord } from "./connection.ts";
import { type RefusedRecord, refusalOf } from "./dead-letter-topic.ts";
import { partitionOfKey } from "./key-partition.ts";
import { originText } from "./origin.ts";
import type { Route, SourceRoutes } from "./routes.ts";

/** Decimal microseconds: when the platform could first use the event. */
export const KNOWN_TIME_HEADER = "onefold-known-time";
/** Where the event stands in its source's topic. */
export const ORIGIN_HEADER = "onefold-origin";

export interface Router {
  /** `now` is stamped as the known time; where the source says so, the record's own time, if that is before. */
  route(record: KafkaRecord, partition: number, now: Micros): readonly NewRecord[] | RefusedRecord;
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
  return {
    route(record, partition, now) {
      const { offset, key, value } = record;
      try {
        const row = readEvent(door, value, Number.POSITIVE_INFINITY as Micros);
        const knownTime = source.kafka?.knownTime === "record" ? Math.min(now, record.timestampMs * 1000) : now;
        const headers = new Map([
          [KNOWN_TIME_HEADER, String(knownTime)],
          [ORIGIN_HEADER, originText(topicId, partition, offset)],
        ]);
        return targets.map(({ topic, partitionCount, keyOf }): NewRecord => {
          const entityKey = Buffer.from(keyOf(row));
          return { topic, partition: partitionOfKey(entityKey, partitionCount), key: entityKey, value, headers };
        });
      } catch (error) {
        const { deadLetterTopic, topic } = routes;
        const refusal = refusalOf(error);
        const stage = refusal.code === "JSON_INVALID" ? "record" : "door";
        return { deadLetterTopic, source: source.name, stage, ...refusal, topic, partition, offset, key, value };
      }
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
