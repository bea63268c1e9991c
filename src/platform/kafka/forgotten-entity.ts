/**
 * One entity in one source on Kafka: what there is of it, found in topics and tables, and the steps in which it goes.
 *
 * What is forgotten stands before `ends` in the source's topic; events of the entity behind that are new ones, and stay.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import { formatViewName } from "../../define/definition.ts";
import type { AlteredTopics } from "../../ingest/kafka/altered-topics.ts";
import { markRecord } from "../../ingest/kafka/forget-records.ts";
import type { ForgottenPlaces } from "../../ingest/kafka/forgotten-notes.ts";
import { partitionOfKey } from "../../ingest/kafka/key-partition.ts";
import { partitionName } from "../../ingest/kafka/position.ts";
import { RecordKeys } from "../../ingest/kafka/record-keys.ts";
import type { FetchFrom, NewRecord, TopicFacts, TopicPartition } from "../../ingest/kafka/records.ts";
import { COMPACTED, compactAway, type ErasedRecords } from "../../ingest/kafka/topic-erasure.ts";
import { placesOf } from "../../offline-store/archive-places.ts";
import type { OfflineTable } from "../../offline-store/offline-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { joinSharing, type SharingEntities } from "../forget/forget-shared.ts";
import type { ForgetConnection, ForgetHouse } from "./forget-house.ts";
import { waitUntilBuilt, waitUntilFolded, waitUntilRouted, type Waiting } from "./forget-waits.ts";
import { type FoldedDraft, foldedDrafts } from "./forgotten-drafts.ts";
import { forgetIdsIn, forgetLeftStates, ownStates } from "./forgotten-states.ts";
import { forgetRows, idsOfOthers, type Places, rowsOfEntity, sharingRows } from "./forgotten-rows.ts";
import { type ForgottenSource, isSameKey } from "./forgotten-source.ts";
import { type FoundRecord, replacementOf } from "./found-record.ts";
import { TopicFindings } from "./topic-findings.ts";

/** What there is of it. */
export interface FoundEntity {
  readonly house: ForgetHouse;
  readonly source: ForgottenSource;
  readonly entity: string;
  readonly key: EntityKey;
  readonly facts: ReadonlyMap<string, TopicFacts>;
  readonly findings: TopicFindings;
  readonly tables: ReadonlyMap<string, OfflineTable>;
  /** By topic that is folded: the events that go. */
  readonly places: ReadonlyMap<string, Places>;
  /** Ids that no event of another has. */
  readonly ids: ReadonlySet<string>;
  readonly drafts: readonly FoldedDraft[];
}

/** Of records that are written over in one request. */
const RECORDS_AT_ONCE = 2000;

export class ForgottenEntity {
  readonly #parts: FoundEntity;
  readonly #keys = new RecordKeys();
  readonly #marked: TopicPartition[] = [];

  private constructor(parts: FoundEntity) {
    this.#parts = parts;
  }

  /**
   * Changes nothing. Of a look alone nobody waits for workers that route. Throws `FORGET_UNFINISHED` where they do not,
   * `KAFKA_TOPIC_UNFIT`, `FILE_UNREADABLE`.
   */
  static async find(
    house: ForgetHouse,
    source: ForgottenSource,
    { entity, key, isLook = false }: { readonly entity: string; readonly key: EntityKey; readonly isLook?: boolean },
  ): Promise<ForgottenEntity> {
    const { connection, engine, store } = house;
    const { topic } = source.source.kafka!;
    const made = `${connection.settings.prefix}.${source.source.name}.by.`;
    const all = (await connection.topicNames()).filter((name) => name.startsWith(made));
    const others = [topic, source.deadLetters, ...(source.claims === null ? [] : [source.claims])];
    const facts = await connection.topics([...new Set([...all, ...others, ...source.folded.keys()])]);
    for (const name of [topic, ...source.folded.keys()]) if (!facts.has(name)) throw missing(name);
    const drafts = await foldedDrafts(store, all);
    const isFolded = (name: string): boolean => source.folded.has(name) || drafts.some((each) => each.topic === name);
    const tables = new Map<string, OfflineTable>();
    for (const name of all) {
      const table = await house.tables.find(`events/${name}`);
      if (table !== null) tables.set(name, table);
      else if (isFolded(name)) throw notArchived(name);
    }
    // A letter that is there by then is of a record that is.
    const letterEnds = facts.has(source.deadLetters) ? await connection.offsets(source.deadLetters, "end") : [];
    const ends = await connection.offsets(topic, "end");
    if (!isLook) await waitUntilRouted(connection, source, { facts, ends, drafts }, waitingOf(house, "routing"));
    const of = { connection, source, entity, key, facts, ends, letterEnds };
    const findings = new TopicFindings({ ...of, onProgress: house.onProgress });
    await findings.readSource();
    await findings.readEvents(all);
    const places = new Map<string, Map<number, Set<number>>>();
    const ids = new Set(findings.ids);
    for (const name of all) {
      const ofTopic = findings.placesIn(name);
      places.set(name, ofTopic);
      const table = tables.get(name);
      if (table === undefined) continue;
      for (const { partition, offset, id } of await rowsOfEntity(engine, table, source, key)) {
        if (!findings.isBefore(name, partition, offset)) continue;
        const offsets = ofTopic.get(partition) ?? new Set();
        ofTopic.set(partition, offsets.add(offset));
        if (id !== null) ids.add(id);
      }
      if (source.isShared && isFolded(name)) await refuseCut(connection, name, table);
    }
    const theirs = new Set<string>();
    for (const [name, table] of tables) {
      for (const id of await idsOfOthers(engine, table, [...ids], places.get(name)!)) theirs.add(id);
      const archived = placesOf((await table.snapshot()).files);
      const behind = Array.from(archived, ([partition, { offset }]) => [partition, offset] as const);
      for (const id of await findings.idsOfOthersBehind(name, new Map(behind), ids)) theirs.add(id);
    }
    const own = new Set([...ids].filter((id) => !theirs.has(id)));
    await findings.readOf(own);
    return new ForgottenEntity({ house, source, entity, key, facts, findings, tables, places, ids: own, drafts });
  }

  get found(): FoundEntity {
    return this.#parts;
  }

  get source(): ForgottenSource {
    return this.#parts.source;
  }

  /** Its records of the source's topic. */
  get origins(): ForgottenPlaces {
    return this.#parts.findings.origins;
  }

  /** Its rows of the tables. */
  get rows(): ForgottenPlaces {
    const all = Array.from(this.#parts.places).flatMap(([topic, ofTopic]) =>
      Array.from(ofTopic, ([partition, offsets]) => [partitionName(topic, partition), offsets] as const),
    );
    return new Map(all);
  }

  /** Has workers fold states without it; resolves with how many of its own there were. */
  async fold(): Promise<number> {
    const { house, source, entity, key, facts, places, drafts } = this.#parts;
    const { connection, trustMs } = house;
    const before = await ownStates(house, source, { entity, key });
    const isKnown = before.length > 0 || [...places.values()].some((ofTopic) => ofTopic.size > 0);
    const marks = isKnown ? this.#newMarks() : [];
    await connection.send(marks);
    for (const { topic, partition } of marks) this.#marked.push({ topic, partition });
    await this.#waitUntilFolded();
    for (const { view, topic, state } of await ownStates(house, source, { entity, key })) {
      const partition = partitionOfKey(Buffer.from(key), facts.get(topic)!.partitionCount);
      if (state.offset < this.#parts.findings.endOf(topic, partition)) throw notFolded(view);
    }
    // Then nobody goes on from a position, or with records, that were looked at before.
    if (isKnown || this.origins.size > 0) await sleep(trustMs);
    return before.length + (await forgetLeftStates({ ...house, facts, drafts }, source, { entity, key }));
  }

  /** All that stands in the marked partitions now. */
  async #waitUntilFolded(): Promise<void> {
    const { house, source } = this.#parts;
    const places: FetchFrom[] = [];
    for (const topic of new Set(this.#marked.map((at) => at.topic))) {
      const ends = await house.connection.offsets(topic, "end");
      for (const at of this.#marked) if (at.topic === topic) places.push({ ...at, offset: ends[at.partition]! });
    }
    const { drafts } = this.#parts;
    await waitUntilFolded(house.store, source, { places, drafts }, waitingOf(house, "folding"));
    const views = [...source.views.map(formatViewName), ...drafts.map(({ name }) => name)];
    await waitUntilBuilt(house.store, views, waitingOf(house, "views that come later"));
  }

  /** In each partition that has some of its events, and in its own. */
  #newMarks(): NewRecord[] {
    const { source, entity, key, facts, places, drafts } = this.#parts;
    const ofDrafts = drafts.filter(({ topic }) => !source.folded.has(topic)).map(({ topic }) => [topic, null] as const);
    return [...source.folded, ...new Map(ofDrafts)].flatMap(([topic, keyColumns]) => {
      const ofTopic = places.get(topic)!;
      const isOwn = keyColumns !== null && source.own.some(({ columns }) => isSameKey(keyColumns, columns));
      const ownPartition = isOwn ? partitionOfKey(Buffer.from(key), facts.get(topic)!.partitionCount) : null;
      const partitions = new Set([...ofTopic.keys(), ...(ownPartition === null ? [] : [ownPartition])]);
      return [...partitions].map((partition) => {
        const offsets = [...(ofTopic.get(partition) ?? [])].sort((a, b) => a - b);
        const own = partition === ownPartition ? { entity, key } : null;
        return markRecord({ topic, partition }, this.#keys.next(), { offsets, own });
      });
    });
  }

  /** Ids that only its events have: one that comes again is new. */
  forgetIds(): Promise<number> {
    const { house, findings, ids } = this.#parts;
    return forgetIdsIn(house.store, { ids, records: [...findings.claims, ...findings.events] });
  }

  /** Others whose states had some of its events. */
  async sharing(): Promise<readonly SharingEntities[]> {
    const { house, source, entity, key, tables, places } = this.#parts;
    let sharing: readonly SharingEntities[] = [];
    for (const [name, table] of tables) {
      const found = await sharingRows(house.engine, table, source, places.get(name)!, { entity, key });
      sharing = joinSharing(sharing, found);
    }
    return sharing;
  }

  /** Takes its records out of the topics, also out of those that an earlier attempt has altered and not put back. */
  async erase(altered: AlteredTopics): Promise<{ readonly records: number; readonly deadLetters: number }> {
    const { house, findings, source, facts } = this.#parts;
    const { connection, onProgress } = house;
    const found: FoundRecord[] = [];
    let next: readonly FoundRecord[] = [...findings.records, ...(await findings.readSince())];
    while (next.length > 0) {
      for (const one of next) found.push(one);
      house.check();
      // A request and a batch of records have their limits, and an entity may have very many.
      for (let at = 0; at < next.length; at += RECORDS_AT_ONCE) {
        await connection.send(next.slice(at, at + RECORDS_AT_ONCE).map(replacementOf));
      }
      // The marks, which name it, and copies that were written meanwhile.
      next = await findings.readSince();
    }
    const offsets = new Map<string, { topic: string; partition: number; offsets: Set<number> }>();
    for (const { topic, partition, offset } of found) {
      const name = `${topic}/${partition}`;
      const of = offsets.get(name) ?? { topic, partition, offsets: new Set<number>() };
      offsets.set(name, of);
      of.offsets.add(offset);
    }
    const erased = Array.from(offsets.values(), ({ offsets: each, ...at }): ErasedRecords => {
      return { ...at, offsets: [...each].sort((a, b) => a - b) };
    });
    const total = erased.reduce((sum, one) => sum + one.offsets.length, 0);
    if (total > 0) {
      await compactAway({ connection, altered }, erased, house, (left) => {
        house.check();
        onProgress({ phase: "compacting topics", done: total - left, total });
      });
    }
    house.check();
    // A topic of another source, whose entity was not forgotten to the end, is put back, too: it is altered again then.
    const present = new Set([...facts.keys(), ...(await connection.topicNames())]);
    await altered.settle(COMPACTED, (topic) => present.has(topic));
    const letters = found.filter(({ topic }) => topic === source.deadLetters).length;
    return { records: found.filter(({ mark }) => mark === null).length, deadLetters: letters };
  }

  /** Takes its rows out of the tables, once nobody is on its way who has read the records and not what stands for them. */
  async forgetRows(): Promise<number> {
    const { house, tables, places, ids, findings } = this.#parts;
    await this.#waitUntilFolded();
    house.check();
    let rows = 0;
    let done = 0;
    for (const [name, table] of tables) {
      house.onProgress({ phase: "writing tables anew", done: done++, total: tables.size });
      const before = (partition: number): number => findings.endOf(name, partition);
      rows += await forgetRows(house.engine, table, { places: places.get(name)!, ids: [...ids], before });
    }
    return rows;
  }
}

function waitingOf({ stalledMs, lookMs, onProgress, check }: ForgetHouse, what: string): Waiting {
  let total = 0;
  return {
    stalledMs,
    lookMs,
    onLeft(left) {
      check();
      total = Math.max(total, left);
      onProgress({ phase: `waiting for ${what}`, done: total - left, total });
    },
  };
}

/** Others are folded anew from the table: it must have all that their states have. */
async function refuseCut(connection: ForgetConnection, topic: string, table: OfflineTable): Promise<void> {
  const places = placesOf<{ readonly begins?: number }>((await table.snapshot()).files);
  const starts = await connection.offsets(topic, "start");
  const cut = starts.findIndex((start, partition) => (places.get(partition)?.memory.begins ?? start) > 0);
  if (cut === -1) return;
  throw new OnefoldError(
    "REQUEST_INVALID",
    `the offline table of ${topic} lacks the first events of partition ${cut}, so that others cannot be folded anew`,
    { where: topic, hint: "fold a topic without the records anew: docs/kafka.md, Fold anew" },
  );
}

function missing(topic: string): OnefoldError {
  return new OnefoldError("KAFKA_TOPIC_UNFIT", `there is no topic ${topic}`, {
    where: topic,
    hint: "name the --kafka-prefix of the workers, and start them once with the views that are registered",
  });
}

function notArchived(topic: string): OnefoldError {
  return new OnefoldError("FILE_UNREADABLE", `workers have archived no events of ${topic}`, {
    where: `events/${topic}`,
    hint: "name the folder of onefold worker --archive; events are forgotten where workers have offline tables",
  });
}

function notFolded(view: string): OnefoldError {
  return new OnefoldError("FORGET_UNFINISHED", `the states of view ${view} still have it`, {
    where: view,
    hint: "a worker of an earlier version has passed over the mark: start all workers anew with this version; then give the same command again",
  });
}
