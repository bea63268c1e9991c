/**
 * What becomes of a record of a folded topic before anything is folded: an event or a mark in waiting, nothing, where it
 * is blank or a copy of what was taken, or a letter that says why it was refused.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { type CheckedRow, retractionOf } from "../event.ts";
import { type RefusedRecord, refusalOf } from "./dead-letter-topic.ts";
import { type ForgetMark, isBlank, readMark } from "./forget-records.ts";
import type { PartitionPlace } from "./folded-partition.ts";
import type { TakenOrigins } from "./origin.ts";
import { CORRECTS_HEADER, foreignRecord, IDS_HEADER, readStamp } from "./record-stamp.ts";
import type { KafkaRecord } from "./records.ts";
import type { RouteParts } from "./route-parts.ts";
import { readEvent } from "./router.ts";
import type { Route } from "./routes.ts";
import { TakenIds } from "./taken-ids.ts";

/** A record that may become an event, or is a retraction. */
export interface Candidate {
  readonly record: KafkaRecord;
  readonly checked: CheckedRow;
  /** Null for a retraction. */
  readonly key: EntityKey | null;
  readonly idKey: string | null;
  /** Whether it takes the place of an event that has its id. */
  readonly corrects: boolean;
  readonly stamp: number;
  readonly place: RecordPlace;
  readonly forgets?: ForgetMark;
}

/** Where a record stands in its source's topic. */
export interface RecordPlace {
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
}

export interface RecordAdmissionOptions extends RouteParts, Pick<PartitionPlace, "partition" | "topicId"> {
  readonly origins: TakenOrigins;
  /** Another fold tells what is refused. */
  readonly isLate: boolean;
}

export class RecordAdmission {
  readonly #options: RecordAdmissionOptions;
  #refused: RefusedRecord[] = [];
  copies = 0;

  constructor(options: RecordAdmissionOptions) {
    this.#options = options;
  }

  /** Null for what the fold never sees. */
  admit(record: KafkaRecord): Candidate | null {
    const { route, partition, topicId, door, keyOf, origins, isLate } = this.#options;
    const headers = record.headers();
    const corrects = headers.get(CORRECTS_HEADER)?.toString();
    let place: RecordPlace = { topicId, partition, offset: record.offset };
    let stamp = record.timestampMs * 1000;
    if (!route.isDirect) {
      const forgets = readMark(record);
      if (forgets !== null) return this.#mark(record, forgets, place);
      const stamped = readStamp(headers);
      if (isBlank(record)) {
        // A copy of what it stands for that comes later is none the less a copy.
        if (stamped !== null) origins.take(stamped.origin);
        return null;
      }
      if (stamped === null) {
        if (!isLate) this.refuse(record, place, foreignRecord(route.topic));
        return null;
      }
      const { origin } = stamped;
      stamp = stamped.stamp;
      if (!origins.take(origin)) {
        this.copies++;
        return null;
      }
      const cut = origin.partition.lastIndexOf("/");
      place = {
        topicId: origin.partition.slice(0, cut),
        partition: Number(origin.partition.slice(cut + 1)),
        offset: Math.ceil(origin.offset),
      };
    }
    try {
      if (corrects !== undefined) {
        if (route.isDirect) throw correctsDirectly(route);
        if (record.value === null) {
          const checked = retractionOf(corrects, route.source.columns.length);
          return { record, checked, key: null, idKey: null, corrects: true, stamp, place };
        }
      }
      const checked = readEvent(door, record.value, stamp as Micros);
      const key = keyOf(checked);
      if (route.isDirect && record.key?.toString("utf8") !== key) throw wrongKey(route, record, key);
      const isDecided = checked.id === null || (!route.isDirect && headers.has(IDS_HEADER));
      const idKey = isDecided ? null : TakenIds.keyOf(key, checked.id!);
      return { record, checked, key, idKey, corrects: corrects !== undefined, stamp, place };
    } catch (error) {
      // Several routes see the record: one of them tells.
      if (route.isFirst && !isLate) this.refuse(record, place, error);
      return null;
    }
  }

  /** It is known when what came before it is. */
  #mark(record: KafkaRecord, forgets: ForgetMark, place: RecordPlace): Candidate {
    const row = Array.from<null>({ length: this.#options.route.source.columns.length }).fill(null);
    const checked = { row, eventTime: Number.NaN as Micros, id: null };
    return {
      record,
      checked,
      key: null,
      idKey: null,
      corrects: false,
      stamp: Number.NEGATIVE_INFINITY,
      place,
      forgets,
    };
  }

  /** `view`: the one whose fold refused it. */
  refuse(record: KafkaRecord, place: RecordPlace, error: unknown, view?: string): void {
    const { route, deadLetterTopic } = this.#options;
    const refusal = refusalOf(error);
    this.#refused.push({
      deadLetterTopic,
      source: route.source.name,
      stage: view === undefined ? "door" : "fold",
      ...(view === undefined ? {} : { view }),
      ...refusal,
      topic: route.source.kafka!.topic,
      ...place,
      key: route.isDirect ? record.key : null,
      value: record.value,
      corrects: record.headers().get(CORRECTS_HEADER),
    });
  }

  /** Letters since the last time. */
  takeRefused(): RefusedRecord[] {
    const refused = this.#refused;
    this.#refused = [];
    return refused;
  }
}

function correctsDirectly({ topic }: Route): OnefoldError {
  return new OnefoldError("CORRECTION_REFUSED", `topic ${topic} is folded directly, where none can be corrected`, {
    hint: 'take "direct" away: its events are then routed to topics in which they can be',
  });
}

function wrongKey({ key }: Route, record: KafkaRecord, entityKey: EntityKey): OnefoldError {
  const found = record.key === null ? "no key" : `the key ${JSON.stringify(record.key.toString("utf8").slice(0, 100))}`;
  return new OnefoldError(
    "KEY_MISSING",
    `the record has ${found}, not ${JSON.stringify(entityKey)}, its ${key.join(", ")}`,
    {
      hint: "a topic that is folded directly must be keyed by the entity",
    },
  );
}
