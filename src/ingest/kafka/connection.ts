/**
 * What Onefold asks of Apache Kafka, in its own words: the only file that knows the client library.
 *
 * The library (`@platformatic/kafka`) brings the wire protocol, connections, TLS and SASL, group membership and
 * produce requests. Consuming is a loop of our own over its fetch request, not its message stream: a worker goes on
 * from positions that stand beside the states, holds back by not asking for more, and must not be handed records of
 * partitions that it has lost. Records of aborted transactions are left out by us, too (`fetched-partition.ts`), for the
 * library keeps those whose end is not in the same answer.
 *
 * Nothing here retries but produce requests. Whoever calls goes on from what it knows to be done.
 */
import {
  Admin,
  compressionsAlgorithms,
  ConfigSources,
  Consumer,
  IncrementalAlterConfigOperationTypes,
  kGetApi,
  ListOffsetTimestamps,
  ProduceAcks,
  Producer,
  ResourceTypes,
} from "@platformatic/kafka";
import { setTimeout as sleep } from "node:timers/promises";
import { grouped } from "../../base/grouped.ts";
import { clientOptions } from "./client-options.ts";
import { fetchedPartition } from "./fetched-partition.ts";
import { type GroupAssigner, GroupConsumer } from "./group-consumer.ts";
import { GroupRequests } from "./group-requests.ts";
import { type FindBy, kafkaError } from "./kafka-error.ts";
import { RepeatedSend } from "./repeated-send.ts";
import type { FetchedPartition, FetchFrom, NewRecord, NewTopic, TopicFacts, TopicPartition } from "./records.ts";
import type { NotedOffset } from "./route-position.ts";
import type { KafkaSettings } from "./settings.ts";
import { snappyDecompressor } from "./xerial-snappy.ts";

// The library's own knows only what it writes itself.
const { snappy } = compressionsAlgorithms;
const decompressBlock = snappy.decompressSync;
const decompress = snappyDecompressor((block) => decompressBlock(block));
Object.assign(snappy, {
  decompressSync: (data: Parameters<typeof decompressBlock>[0]) =>
    decompress(Buffer.isBuffer(data) ? data : data.buffer),
});

/** A group settles when the last member has joined again, or this time is up. */
const SETTLE_MS_MIN = 30_000;
const ANSWER_MS = 10_000;
const LISTED_WITHIN_MS = 2000;

export class KafkaConnection {
  readonly settings: KafkaSettings;
  readonly #admin: Admin;
  readonly #producer: Producer;
  readonly #sends = new RepeatedSend();
  /** In no group: it looks up offsets. */
  readonly #reader: Consumer;
  /**
   * In no group: one for each that fetches. A broker answers the requests of one connection one after the other, so
   * whoever waits for records holds up all that share its connection.
   */
  readonly #fetchers = new Map<string, Consumer>();
  /** In none of these groups, which they ask. */
  readonly #asking = new Map<string, GroupConsumer>();

  constructor(settings: KafkaSettings) {
    this.settings = settings;
    const options = clientOptions(settings);
    this.#admin = new Admin({ ...options, retries: 3, retryDelay: 300 });
    // It would write the same keys again: see `repeated-send.ts`.
    this.#producer = new Producer({ ...options, acks: ProduceAcks.ALL, retries: 0, repeatOnStaleMetadata: false });
    this.#reader = this.#newReader();
    for (const client of [this.#admin, this.#producer]) client.on("error", () => {});
  }

  #newReader(): Consumer {
    const { settings } = this;
    const reader = new Consumer({ ...clientOptions(settings), groupId: `${settings.prefix}.reader`, retries: 0 });
    reader.on("error", () => {});
    return reader;
  }

  #fetcher(name: string): Consumer {
    let fetcher = this.#fetchers.get(name);
    if (fetcher === undefined) this.#fetchers.set(name, (fetcher = this.#newReader()));
    return fetcher;
  }

  async topicNames(): Promise<readonly string[]> {
    return this.#told("listing topics", () => this.#admin.listTopics());
  }

  /** Facts of the topics that exist. Throws `KAFKA_UNAVAILABLE`. */
  async topics(names: readonly string[]): Promise<Map<string, TopicFacts>> {
    return this.#told("reading topics", async () => {
      const present = new Set(await this.#admin.listTopics());
      const wanted = names.filter((name) => present.has(name));
      const facts = new Map<string, TopicFacts>();
      if (wanted.length === 0) return facts;
      const { topics } = await this.#admin.metadata({ topics: wanted, forceUpdate: true });
      for (const [name, topic] of topics) {
        if (topic !== undefined) facts.set(name, { name, id: topic.id, partitionCount: topic.partitionsCount });
      }
      return facts;
    });
  }

  /** Settings of a topic, by name. */
  async topicSettings(topic: string): Promise<Map<string, string | null>> {
    return this.#told(`reading the settings of topic ${topic}`, async () => {
      const configurationKeys = ["message.timestamp.type", "cleanup.policy"];
      const [description] = await this.#admin.describeConfigs({
        resources: [{ resourceType: ResourceTypes.TOPIC, resourceName: topic, configurationKeys }],
      });
      return new Map(description?.configs.map(({ name, value }) => [name, value ?? null]));
    });
  }

  /** Settings that the topic has of its own, by name. */
  async ownTopicSettings(topic: string, names: readonly string[]): Promise<Map<string, string>> {
    return this.#told(`reading the settings of topic ${topic}`, async () => {
      const [description] = await this.#admin.describeConfigs({
        resources: [{ resourceType: ResourceTypes.TOPIC, resourceName: topic, configurationKeys: [...names] }],
      });
      const own = description?.configs.filter(({ configSource }) => configSource === ConfigSources.TOPIC_CONFIG) ?? [];
      return new Map(own.map(({ name, value }) => [name, value ?? ""]));
    });
  }

  /** Gives the topic settings of its own; null takes one away, and the broker's counts. */
  async alterTopic(topic: string, settings: ReadonlyMap<string, string | null>): Promise<void> {
    const { SET, DELETE } = IncrementalAlterConfigOperationTypes;
    await this.#told(`changing the settings of topic ${topic}`, async () => {
      const configs = Array.from(settings, ([name, value]) =>
        value === null ? { name, configOperation: DELETE } : { name, configOperation: SET, value },
      );
      const resources = [{ resourceType: ResourceTypes.TOPIC, resourceName: topic, configs }];
      await this.#admin.incrementalAlterConfigs({ resources });
    });
  }

  /** Makes a topic where there is none; one that another process makes at the same time is as good. */
  async createTopic(topic: NewTopic): Promise<void> {
    await this.#told(`making topic ${topic.name}`, async () => {
      try {
        await this.#admin.createTopics({
          topics: [topic.name],
          partitions: topic.partitionCount,
          replicas: topic.replicas,
          configs: Object.entries(topic.configs).map(([name, value]) => ({ name, value })),
        });
      } catch (error) {
        // One that was made a moment ago may not be listed yet.
        const isThere = (error as { findBy?: FindBy }).findBy?.("apiId", "TOPIC_ALREADY_EXISTS") ?? null;
        if (isThere === null && !(await this.#admin.listTopics()).includes(topic.name)) throw error;
      }
      // A broker takes no record of a topic before it lists it, some moments after it was made.
      const untilMs = performance.now() + LISTED_WITHIN_MS;
      while (!(await this.#admin.listTopics()).includes(topic.name) && performance.now() < untilMs) await sleep(20);
    });
  }

  /** Offsets of the first records that are still there, or of the ends, by partition. */
  async offsets(topic: string, of: "start" | "end"): Promise<number[]> {
    return this.#told(`reading offsets of topic ${topic}`, async () => {
      this.#reader.clearMetadata();
      const timestamp = of === "start" ? ListOffsetTimestamps.EARLIEST : ListOffsetTimestamps.LATEST;
      const offsets = await this.#reader.listOffsets({ topics: [topic], timestamp });
      return (offsets.get(topic) ?? []).map(Number);
    });
  }

  /**
   * Appends records, in this order within each partition; resolves once all are on all in-sync replicas. Where it
   * rejects, any of them may be there, and a part of a partition's may be there twice.
   */
  async send(records: readonly NewRecord[]): Promise<void> {
    if (records.length === 0) return;
    const write = async (part: readonly NewRecord[]): Promise<void> => {
      const messages = part.map(({ topic, partition, key, value, headers }) => ({
        topic,
        partition,
        headers: new Map(Array.from(headers, ([name, text]) => [Buffer.from(name), Buffer.from(text)] as const)),
        // A key or value that is left out is null on the wire.
        ...(key === null ? {} : { key }),
        ...(value === null ? {} : { value }),
      }));
      await this.#producer.send({ messages, acks: ProduceAcks.ALL });
    };
    await this.#told("writing records", () =>
      this.#sends.send(records, { write, mayHelp: mayHelpAgain, onRepeat: () => this.#producer.clearMetadata() }),
    );
  }

  /**
   * Records from the given offsets on, of committed transactions alone; waits up to `waitMs` where there are none.
   * Only those that call under one name wait for each other. Throws `KAFKA_UNAVAILABLE`, and `KAFKA_RECORDS_GONE` where the broker no longer has what is asked for.
   */
  async fetch(from: readonly FetchFrom[], waitMs: number, caller = "any"): Promise<FetchedPartition[]> {
    if (from.length === 0) return [];
    const fetcher = this.#fetcher(caller);
    return this.#told("reading records", async () => {
      const names = [...new Set(from.map(({ topic }) => topic))];
      const { topics } = await fetcher.metadata({ topics: names });
      const byLeader = grouped(from, ({ topic, partition }) => topics.get(topic)!.partitions[partition]!.leader);
      const nameOf = new Map(names.map((name) => [topics.get(name)!.id, name]));
      const wait = byLeader.size > 1 ? Math.min(waitMs, 50) : waitMs;
      const fetched = await Promise.all(
        Array.from(byLeader, ([node, wanted]) => this.#fetchOf(fetcher, node, wanted, nameOf, wait)),
      );
      return fetched.flat();
    });
  }

  async #fetchOf(
    fetcher: Consumer,
    node: number,
    wanted: readonly FetchFrom[],
    nameOf: ReadonlyMap<string, string>,
    maxWaitTime: number,
  ): Promise<FetchedPartition[]> {
    const topics = Array.from(nameOf, ([topicId, name]) => ({
      topicId,
      partitions: wanted
        .filter(({ topic }) => topic === name)
        .map(({ partition, offset }) => ({
          partition,
          currentLeaderEpoch: -1,
          fetchOffset: BigInt(offset),
          lastFetchedEpoch: -1,
          partitionMaxBytes: this.settings.partitionBytesMax,
        })),
    })).filter(({ partitions }) => partitions.length > 0);
    fetcher.topics.trackAll(...nameOf.values());
    const { responses } = await fetcher.fetch({
      node,
      topics,
      maxWaitTime,
      minBytes: 1,
      maxBytes: this.settings.fetchBytesMax,
    });
    return responses.flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => {
        const topic = nameOf.get(topicId)!;
        const { offset } = wanted.find((each) => each.topic === topic && each.partition === partition.partitionIndex)!;
        return fetchedPartition(topic, partition, offset);
      }),
    );
  }

  /** Where a group is to go on, asked by somebody who is not in it; null where nothing was committed. */
  committedBy(groupId: string, partitions: readonly TopicPartition[]): Promise<(NotedOffset | null)[]> {
    let asking = this.#asking.get(groupId);
    if (asking === undefined) {
      const topics = [...new Set(partitions.map(({ topic }) => topic))];
      this.#asking.set(groupId, (asking = this.groupMember(groupId, topics, () => new Map())));
    }
    return asking.committed(partitions);
  }

  /** A member of a consumer group; it joins once it is told to. */
  groupMember(groupId: string, topics: readonly string[], assigner: GroupAssigner): GroupConsumer {
    const { sessionMs, instanceId } = this.settings;
    const settleMs = Math.max(sessionMs, SETTLE_MS_MIN);
    const client = new Consumer({
      ...clientOptions(this.settings),
      groupId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      sessionTimeout: sessionMs,
      rebalanceTimeout: settleMs,
      heartbeatInterval: Math.min(3000, Math.ceil(sessionMs / 4)),
      protocols: [{ name: "onefold-sticky", version: 1 }],
      partitionAssigner: (_current, members, subscribed, metadata) => {
        const partitions = [...subscribed].flatMap((topic) =>
          Array.from({ length: metadata.topics.get(topic)?.partitionsCount ?? 0 }, (_, partition) => ({
            topic,
            partition,
          })),
        );
        const given = assigner([...members.keys()], partitions);
        return Array.from(given, ([memberId, theirs]) => ({ memberId, assignments: assignmentsOf(theirs) }));
      },
      retries: 0,
      // A join waits for the others.
      requestTimeout: settleMs + ANSWER_MS,
    });
    return new GroupConsumer(client, new GroupRequests(client, kGetApi), topics);
  }

  async close(): Promise<void> {
    const readers = [this.#reader, ...this.#fetchers.values()];
    await Promise.allSettled([
      this.#producer.close(),
      this.#admin.close(),
      ...readers.map((reader) => reader.close(true)),
      ...Array.from(this.#asking.values(), (asking) => asking.leave(true)),
    ]);
  }

  async #told<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      for (const client of [this.#admin, this.#producer, this.#reader, ...this.#fetchers.values()]) {
        client.clearMetadata();
      }
      throw kafkaError(doing, error);
    }
  }
}

function assignmentsOf(partitions: readonly TopicPartition[]): Map<string, { topic: string; partitions: number[] }> {
  const byTopic = grouped(partitions, ({ topic }) => topic);
  return new Map(
    Array.from(byTopic, ([topic, theirs]) => [topic, { topic, partitions: theirs.map(({ partition }) => partition) }]),
  );
}

/** As the library judges it: every error in its chain may be repeated. */
function mayHelpAgain(error: unknown): boolean {
  const { findBy } = error as Partial<{ findBy: FindBy }>;
  return findBy !== undefined && !(error as { findBy: FindBy }).findBy("canRetry", false);
}
