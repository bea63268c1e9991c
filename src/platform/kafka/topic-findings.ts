/**
 * A forgotten entity's records, found by reading the topics of a source through.
 *
 * Kept is what is the entity's. A topic may hold millions of corrections of others, and whose a retraction is its id alone says: so
 * where there are some, that part of the topic is read once more when the ids are known.
 */
import { OnefoldError } from "../../base/errors.ts";
import { readClaim } from "../../ingest/kafka/claim-fold.ts";
import { TOPIC_ID_HEADER } from "../../ingest/kafka/dead-letter-topic.ts";
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
import { type ForgottenSource, idOf, isOfEntity, keyIn } from "./forgotten-source.ts";
import { foundRecord, type FoundRecord } from "./found-record.ts";

interface FindingsOptions {
  readonly connection: ForgetConnection;
  readonly source: ForgottenSource;
  readonly entity: string;
  readonly key: EntityKey;
  readonly facts: ReadonlyMap<string, TopicFacts>;
  /** Of the source's topic: what stands before is forgotten. */
  readonly ends: readonly number[];
  /** Of the dead letters, before there were these ends: what stands before is of records before them. */
  readonly letterEnds: readonly number[];
  readonly onProgress: OnProgress;
}

export class TopicFindings {
  readonly #options: FindingsOptions;
  readonly #isOfEntity: (record: KafkaRecord) => boolean;
  readonly #origins = new Map<string, Set<number>>();
  readonly #events: FoundRecord[] = [];
  /** Of the entity, and behind the ends: new ones, by topic and partition. */
  readonly #kept = new Map<string, Set<number>>();
  /** From the first to the last retraction, or letter of one, whosever, by topic and partition. */
  readonly #retracting = new Map<string, ScannedRange>();
  /** Of the ids that no other's event has. */
  readonly #retractions: FoundRecord[] = [];
  readonly #claims: FoundRecord[] = [];
  /** That name the entity: one of a forgetting that was cut short may be among them. */
  readonly #marks: FoundRecord[] = [];
  readonly #read: ScannedRange[] = [];
  readonly ids: Set<string> = new Set();
  /** Null before they are known. */
  #ownIds: ReadonlySet<string> | null = null;

  constructor(options: FindingsOptions) {
    this.#options = options;
    this.#isOfEntity = isOfEntity(options.source, options.key);
  }

  get origins(): ForgottenPlaces {
    return this.#origins;
  }

  get claims(): readonly FoundRecord[] {
    return this.#claims;
  }

  /** Events, of the topics that are folded. */
  get events(): readonly FoundRecord[] {
    return this.#events.filter(({ topic }) => topic !== this.#options.source.deadLetters);
  }

  /** Events, dead letters, claims, retractions and marks. */
  get records(): readonly FoundRecord[] {
    return [...this.#events, ...this.#claims, ...this.#marks, ...this.#retractions];
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
      if (mark.own?.entity === entity && mark.own.key === key) this.#marks.push(foundRecord(at, record, { mark }));
      return;
    }
    if (at.topic !== source.deadLetters) {
      refuseOther(at, record);
      if (record.value === null) {
        this.#seeRetraction(at, record);
        return;
      }
    }
    if (!this.#isOfEntity(record)) {
      // A letter of a correction may name an id and have no row.
      if (at.topic === source.deadLetters) this.#seeRetraction(at, record);
      return;
    }
    if (!this.#isForgotten(at, record)) {
      const name = partitionName(at.topic, at.partition);
      this.#kept.set(name, (this.#kept.get(name) ?? new Set()).add(record.offset));
      return;
    }
    const id = idOf(source, record);
    if (id !== null) this.ids.add(id);
    const takenBy = id === null ? null : keyIn(source, at.topic, record);
    this.#events.push(foundRecord(at, record, takenBy === null ? {} : { id: { id: id!, key: takenBy } }));
  }

  #seeRetraction(at: TopicPartition, record: KafkaRecord): void {
    const id = record.headers().get(CORRECTS_HEADER)?.toString();
    if (id === undefined) return;
    if (this.#ownIds === null) {
      const name = partitionName(at.topic, at.partition);
      const from = this.#retracting.get(name)?.from ?? record.offset;
      this.#retracting.set(name, { ...at, from, to: record.offset + 1 });
    } else if (this.#ownIds.has(id) && this.#isForgotten(at, record)) this.#retractions.push(foundRecord(at, record));
  }

  /** Of the source's records before the ends; of a topic that was deleted all. */
  #isForgotten(at: TopicPartition, record: KafkaRecord): boolean {
    const { source, facts, ends, letterEnds } = this.#options;
    const { id: topicId } = facts.get(source.source.kafka!.topic)!;
    const headers = record.headers();
    const origin = parseOrigin(headers.get(ORIGIN_HEADER)?.toString() ?? "");
    if (origin !== null) {
      const [id, partition] = cutLast(origin.partition);
      return id !== topicId || origin.offset < (ends[Number(partition)] ?? 0);
    }
    if (at.topic === source.deadLetters && record.offset < (letterEnds[at.partition] ?? 0)) return true;
    const id = headers.get(TOPIC_ID_HEADER)?.toString() ?? topicId;
    const [place, offset] = cutLast(headers.get("onefold-record")?.toString() ?? "");
    const [, partition] = cutLast(place);
    return id !== topicId || Number(offset) < (ends[Number(partition)] ?? Number.POSITIVE_INFINITY);
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
    await this.#scan(ranges, (at, record) => {
      if (isBlank(record) || readMark(record) !== null) return;
      const id = idOf(this.#options.source, record);
      if (id === null || !ids.has(id)) return;
      if (!this.#isOfEntity(record) || !this.#isForgotten(at, record)) theirs.add(id);
    });
    return theirs;
  }

  /** Claims of the ids, and of records of the entity whatever their ids; and the ids' retractions. */
  async readOf(ids: ReadonlySet<string>): Promise<void> {
    const { connection, source, facts } = this.#options;
    this.#ownIds = ids;
    if (ids.size > 0) {
      await this.#scan([...this.#retracting.values()], (at, record) => {
        const isLetter = at.topic === source.deadLetters && !isBlank(record) && !this.#isOfEntity(record);
        if (record.value === null || isLetter) this.#seeRetraction(at, record);
      });
    }
    if (source.claims === null || !facts.has(source.claims)) return;
    const ranges = await wholeRanges(connection, [source.claims]);
    await this.#scan(ranges, (at, record) => this.#seeClaim(at, record));
    this.#read.push(...ranges);
  }

  #seeClaim(at: TopicPartition, record: KafkaRecord): void {
    if (isBlank(record)) return;
    refuseOther(at, record);
    const claim = readClaim(record);
    if (claim === null || !this.#isForgotten(at, record)) return;
    const origin = parseOrigin(record.headers().get(ORIGIN_HEADER)?.toString() ?? "");
    const isOfRecord = origin !== null && this.#origins.get(origin.partition)?.has(origin.offset) === true;
    if (!isOfRecord && this.#ownIds?.has(claim.id) !== true) return;
    this.#claims.push(foundRecord(at, record, { id: { id: claim.id, key: "" } }));
  }

  /** What has come since that is to go, too: marks that name the entity, and copies of forgotten records. */
  async readSince(): Promise<readonly FoundRecord[]> {
    const { connection, source } = this.#options;
    const all = [this.#events, this.#claims, this.#marks, this.#retractions];
    const before = all.map(({ length }) => length);
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
    return all.flatMap((found, i) => found.slice(before[i]));
  }

  /** Of a topic that is folded: offsets by partition. */
  placesIn(topic: string): Map<number, Set<number>> {
    const places = new Map<number, Set<number>>();
    for (const { topic: of, partition, offset } of this.#events) {
      if (of === topic) places.set(partition, (places.get(partition) ?? new Set()).add(offset));
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
