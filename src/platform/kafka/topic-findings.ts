/** A forgotten entity's records, found by reading the topics of a source through. */
import { OnefoldError } from "../../base/errors.ts";
import { readClaim } from "../../ingest/kafka/claim-fold.ts";
import { isBlank, readMark } from "../../ingest/kafka/forget-records.ts";
import type { ForgottenPlaces } from "../../ingest/kafka/forgotten-notes.ts";
import { parseOrigin } from "../../ingest/kafka/origin.ts";
import { partitionName } from "../../ingest/kafka/position.ts";
import { isRecordKey } from "../../ingest/kafka/record-keys.ts";
import { CORRECTS_HEADER, ORIGIN_HEADER } from "../../ingest/kafka/record-stamp.ts";
import type { KafkaRecord, TopicFacts, TopicPartition } from "../../ingest/kafka/records.ts";
import { type ScannedRange, scanTopics, wholeRanges } from "../../ingest/kafka/topic-scan.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { OnProgress } from "../runtime-context.ts";
import type { ForgetConnection } from "./forget-house.ts";
import { type ForgottenSource, idOf, isOfEntity } from "./forgotten-source.ts";

export interface FoundRecord extends TopicPartition {
  readonly record: KafkaRecord;
}

/** A claim of an id, of a record that is forgotten. */
export interface FoundClaim extends FoundRecord {
  readonly id: string;
}

interface FindingsOptions {
  readonly connection: ForgetConnection;
  readonly source: ForgottenSource;
  readonly entity: string;
  readonly key: EntityKey;
  readonly facts: ReadonlyMap<string, TopicFacts>;
  /** Of the source's topic: what stands before is forgotten. */
  readonly ends: readonly number[];
  readonly onProgress: OnProgress;
}

export class TopicFindings {
  readonly #options: FindingsOptions;
  readonly #isOfEntity: (record: KafkaRecord) => boolean;
  readonly #origins = new Map<string, Set<number>>();
  readonly #events: FoundRecord[] = [];
  /** Of the entity, and behind the ends: new ones, by topic and partition. */
  readonly #kept = new Map<string, Set<number>>();
  readonly #retractions: (FoundRecord & { readonly id: string })[] = [];
  readonly #claims: FoundClaim[] = [];
  /** That name the entity: one of a forgetting that was cut short may be among them. */
  readonly #marks: FoundRecord[] = [];
  readonly #read: ScannedRange[] = [];
  readonly ids: Set<string> = new Set();
  #ownIds: ReadonlySet<string> = new Set();

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.#isOfEntity = isOfEntity(options.source, options.key);
  }

  get origins(): ForgottenPlaces {
    return this.#origins;
  }

  get claims(): readonly FoundClaim[] {
    return this.#claims;
  }

  /** Events, of the topics that are folded. */
  get events(): readonly FoundRecord[] {
    return this.#events.filter(({ topic }) => topic !== this.#options.source.deadLetters);
  }

  /** Events, dead letters, claims and marks. */
  get records(): readonly FoundRecord[] {
    return [...this.#events, ...this.#claims, ...this.#marks];
  }

  /** Of the source's own topic, which stays as it is. */
  async readSource(): Promise<void> {
    const { connection, source, facts, ends } = this.#options;
    const { topic } = source.source.kafka!;
    const { id } = facts.get(topic)!;
    const starts = await connection.offsets(topic, "start");
    const ranges = ends.map((to, partition) => ({ topic, partition, from: starts[partition] ?? 0, to }));
    await this.#scan(ranges, ({ partition }, record) => {
      if (!this.#isOfEntity(record)) return;
      const name = `${id}/${partition}`;
      this.#origins.set(name, (this.#origins.get(name) ?? new Set()).add(record.offset));
    });
  }

  /** Of the topics that are folded, and the dead letters. Throws `KAFKA_TOPIC_UNFIT` for those of an earlier version. */
  async readEvents(topics: readonly string[]): Promise<void> {
    const { connection, source, facts } = this.#options;
    const letters = facts.has(source.deadLetters) ? [source.deadLetters] : [];
    const ranges = await wholeRanges(connection, [...topics, ...letters]);
    await this.#scan(ranges, (at, record) => this.#seeEvent(at, record));
    this.#read.push(...ranges);
  }

  #seeEvent(at: TopicPartition, record: KafkaRecord): void {
    if (isBlank(record)) return;
    const { source, entity, key } = this.#options;
    const mark = readMark(record);
    if (mark !== null) {
      if (mark.own?.entity === entity && mark.own.key === key) this.#marks.push({ ...at, record });
      return;
    }
    if (at.topic !== source.deadLetters) {
      refuseOther(at, record);
      if (record.value === null) {
        const id = record.headers().get(CORRECTS_HEADER)?.toString();
        if (id !== undefined && this.#isForgotten(record)) this.#retractions.push({ ...at, record, id });
        return;
      }
    }
    if (!this.#isOfEntity(record)) return;
    if (!this.#isForgotten(record)) {
      const name = partitionName(at.topic, at.partition);
      this.#kept.set(name, (this.#kept.get(name) ?? new Set()).add(record.offset));
      return;
    }
    this.#events.push({ ...at, record });
    const id = idOf(source, record);
    if (id !== null) this.ids.add(id);
  }

  /** Of the source's records before the ends; of a topic that was deleted all. */
  #isForgotten(record: KafkaRecord): boolean {
    const { source, facts, ends } = this.#options;
    const { topic } = source.source.kafka!;
    const headers = record.headers();
    const origin = parseOrigin(headers.get(ORIGIN_HEADER)?.toString() ?? "");
    if (origin !== null) {
      const [id, partition] = cutLast(origin.partition);
      return id !== facts.get(topic)!.id || origin.offset < (ends[Number(partition)] ?? 0);
    }
    const [place, offset] = cutLast(headers.get("onefold-record")?.toString() ?? "");
    const [, partition] = cutLast(place);
    return Number(offset) < (ends[Number(partition)] ?? Number.POSITIVE_INFINITY);
  }

  /** Of the ids, those that others' events have which are not archived yet: they stand behind these offsets. */
  async idsOfOthersBehind(
    topic: string,
    archived: ReadonlyMap<number, number>,
    ids: ReadonlySet<string>,
  ): Promise<ReadonlySet<string>> {
    const theirs = new Set<string>();
    const ranges = this.#read.flatMap(({ topic: of, partition, from, to }) =>
      of === topic ? [{ topic, partition, from: Math.max(from, archived.get(partition) ?? 0), to }] : [],
    );
    await this.#scan(ranges, (_, record) => {
      if (isBlank(record) || readMark(record) !== null) return;
      const id = idOf(this.#options.source, record);
      if (id === null || !ids.has(id)) return;
      if (!this.#isOfEntity(record) || !this.#isForgotten(record)) theirs.add(id);
    });
    return theirs;
  }

  /** Claims of the ids, and of records of the entity whatever their ids. */
  async readClaims(ids: ReadonlySet<string>): Promise<void> {
    const { connection, source, facts } = this.#options;
    this.#ownIds = ids;
    if (source.claims === null || !facts.has(source.claims)) return;
    const ranges = await wholeRanges(connection, [source.claims]);
    await this.#scan(ranges, (at, record) => this.#seeClaim(at, record));
    this.#read.push(...ranges);
  }

  #seeClaim(at: TopicPartition, record: KafkaRecord): void {
    if (isBlank(record)) return;
    refuseOther(at, record);
    const claim = readClaim(record);
    if (claim === null || !this.#isForgotten(record)) return;
    const origin = parseOrigin(record.headers().get(ORIGIN_HEADER)?.toString() ?? "");
    const isOfRecord = origin !== null && this.#origins.get(origin.partition)?.has(origin.offset) === true;
    if (isOfRecord || this.#ownIds.has(claim.id)) this.#claims.push({ ...at, record, id: claim.id });
  }

  /** What has come since that is to go, too: marks that name the entity, and copies of forgotten records. */
  async readSince(): Promise<readonly FoundRecord[]> {
    const { connection, source } = this.#options;
    const before = [this.#events, this.#claims, this.#marks, this.#retractions].map(({ length }) => length);
    const whole = await wholeRanges(connection, [...new Set(this.#read.map(({ topic }) => topic))]);
    const ranges = whole.map((range) => {
      const read = this.#read.filter((one) => one.topic === range.topic && one.partition === range.partition);
      return { ...range, from: Math.max(range.from, ...read.map(({ to }) => to)) };
    });
    await this.#scan(ranges, (at, record) => {
      if (at.topic === source.claims) this.#seeClaim(at, record);
      else this.#seeEvent(at, record);
    });
    this.#read.push(...ranges);
    const [events, claims, marks, retractions] = before;
    const copies = this.#retractions.slice(retractions).filter(({ id }) => this.#ownIds.has(id));
    return [...this.#events.slice(events), ...this.#claims.slice(claims), ...this.#marks.slice(marks), ...copies];
  }

  retractionsOf(ids: ReadonlySet<string>): readonly FoundRecord[] {
    return this.#retractions.filter(({ id }) => ids.has(id));
  }

  /** Of a topic that is folded: offsets by partition. */
  placesIn(topic: string): Map<number, Set<number>> {
    const places = new Map<number, Set<number>>();
    for (const { topic: of, partition, record } of this.#events) {
      if (of === topic) places.set(partition, (places.get(partition) ?? new Set()).add(record.offset));
    }
    return places;
  }

  /** Whether an archived event of the entity is forgotten: it was there when the topic was read, and is none of the new ones. */
  isBefore(topic: string, partition: number, offset: number): boolean {
    const isKept = this.#kept.get(partitionName(topic, partition))?.has(offset) === true;
    return !isKept && offset < this.endOf(topic, partition);
  }

  /** Where the topic ended when it was read first. */
  endOf(topic: string, partition: number): number {
    return this.#read.find((one) => one.topic === topic && one.partition === partition)?.to ?? 0;
  }

  async #scan(ranges: readonly ScannedRange[], see: (at: TopicPartition, record: KafkaRecord) => void): Promise<void> {
    const total = ranges.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0);
    let done = 0;
    await scanTopics(this.#options.connection, ranges, see, (read) => {
      done += read;
      this.#options.onProgress({ phase: "reading topics", done, total });
    });
  }
}

function cutLast(text: string): readonly [string, string] {
  const cut = text.lastIndexOf("/");
  return [text.slice(0, Math.max(0, cut)), text.slice(cut + 1)];
}

function refuseOther({ topic, partition }: TopicPartition, { key, offset }: KafkaRecord): void {
  if (isRecordKey(key)) return;
  throw new OnefoldError(
    "KAFKA_TOPIC_UNFIT",
    `record ${offset} of ${topic}/${partition} is of an earlier version, and cannot be taken out by itself`,
    { where: topic, hint: "fold a topic without the records anew: docs/kafka.md, Fold anew" },
  );
}
