/**
 * Payments that come over Kafka, folded by real workers; and what must come of them, by a fold of the internal topics
 * that shares nothing with the workers' but the fold itself: it keeps every origin and id it has met.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/base/clock.ts";
import type { Micros } from "../../../src/base/micros.ts";
import type { Definition, StreamDefinition } from "../../../src/define/definition.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import type { ViewFold } from "../../../src/fold/view-fold.ts";
import { compileDoor } from "../../../src/ingest/door.ts";
import { KafkaConnection } from "../../../src/ingest/kafka/connection.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { partitionOfKey } from "../../../src/ingest/kafka/key-partition.ts";
import { parseOrigin } from "../../../src/ingest/kafka/origin.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { compileKey, readEvent } from "../../../src/ingest/kafka/router.ts";
import { planRoutes, type Route } from "../../../src/ingest/kafka/routes.ts";
import { type KafkaSettings, kafkaSettings } from "../../../src/ingest/kafka/settings.ts";
import { Worker, type WorkerOptions } from "../../../src/ingest/kafka/worker.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { payments, shop, shopView, user, userView } from "../payments.ts";
import { correctedStates } from "./corrected-fold.ts";

export interface SentPayment {
  readonly id: string;
  readonly user: string;
  readonly country: string;
  readonly shop: number;
  readonly at: string;
  readonly amount: number | null;
}

export function sentPayment(n: number, parts: Partial<SentPayment> = {}): SentPayment {
  return {
    id: `p${n}`,
    user: `u${n % 37}`,
    country: n % 2 === 0 ? "DE|x" : "FR",
    shop: n % 11,
    at: new Date(Date.now() - (n % 5) * 1000).toISOString(),
    amount: (n * 7) % 100,
    ...parts,
  };
}

export interface WorldOptions {
  readonly sourcePartitions?: number;
  readonly partitionCount?: number;
  readonly sessionMs?: number;
  readonly source?: Partial<StreamDefinition>;
  readonly access?: Pick<KafkaSettings, "tls" | "sasl">;
  /** Of the source's topic. */
  readonly topicConfigs?: Readonly<Record<string, string>>;
}

/** A source topic of its own, and a prefix of its own for all that workers make. */
export class KafkaWorld {
  readonly settings: KafkaSettings;
  readonly source: StreamDefinition;
  readonly definitions: readonly Definition[];
  readonly routes: readonly Route[];
  readonly connection: KafkaConnection;
  sourcePartitions: number;
  readonly #workers: Worker[] = [];
  /** Of the source's topic, by the id of a payment. */
  readonly #partitions = new Map<string, number>();
  sent = 0;

  private constructor(address: string, options: WorldOptions) {
    const { sourcePartitions = 3, partitionCount = 4, sessionMs = 6000, access = {} } = options;
    this.sourcePartitions = sourcePartitions;
    const prefix = `t${randomUUID().slice(0, 8)}`;
    this.settings = kafkaSettings({ brokers: [address], prefix, partitionCount, sessionMs, ...access });
    this.source = { ...payments, kafka: { topic: `${prefix}-payments` }, ...options.source };
    const isDirect = this.source.kafka?.direct === true;
    this.definitions = isDirect ? [user, this.source, userView] : [user, shop, this.source, userView, shopView];
    this.routes = planRoutes(this.definitions, prefix)[0]!.routes;
    this.connection = new KafkaConnection(this.settings);
  }

  static async open(address: string, options: WorldOptions = {}): Promise<KafkaWorld> {
    const world = new KafkaWorld(address, options);
    const { topic } = world.source.kafka!;
    await world.connection.createTopic({
      name: topic,
      partitionCount: world.sourcePartitions,
      replicas: 1,
      configs: {
        ...(options.source?.kafka?.direct === true ? { "message.timestamp.type": "LogAppendTime" } : {}),
        ...options.topicConfigs,
      },
    });
    // A broker that is busy knows of it a moment later.
    for (const end = Date.now() + 60_000; !(await world.connection.topics([topic])).has(topic); await sleep(20)) {
      if (Date.now() > end) throw new Error(`topic ${topic} does not show`);
    }
    return world;
  }

  /** Each payment, or text, in a partition by its number. */
  async send(rows: readonly (SentPayment | string)[]): Promise<void> {
    const { topic } = this.source.kafka!;
    const records = rows.map((row, i) => ({
      topic,
      partition: (this.sent + i) % this.sourcePartitions,
      key: null,
      value: Buffer.from(typeof row === "string" ? row : JSON.stringify(row)),
      headers: new Map<string, string>(),
    }));
    for (const [i, row] of rows.entries())
      if (typeof row !== "string") this.#partitions.set(row.id, records[i]!.partition);
    await this.connection.send(records);
    this.sent += rows.length;
  }

  /** Takes back the payments of these ids, or puts others in their place; in the partition that they were sent to. */
  async correct(corrections: readonly { readonly id: string; readonly by?: SentPayment }[]): Promise<void> {
    const { topic } = this.source.kafka!;
    const records = corrections.map(({ id, by }) => ({
      topic,
      partition: this.#partitions.get(id)!,
      key: null,
      value: by === undefined ? null : Buffer.from(JSON.stringify(by)),
      headers: new Map([["onefold-corrects", id]]),
    }));
    await this.connection.send(records);
    this.sent += records.length;
  }

  async worker(store: OnlineStore, options: Partial<WorkerOptions> = {}): Promise<Worker> {
    const worker = await Worker.start({
      definitions: this.definitions,
      kafka: this.settings,
      store,
      clock: systemClock,
      ...options,
    });
    void worker.failed.then((error) => {
      throw error;
    });
    this.#workers.push(worker);
    return worker;
  }

  /** All records of a topic, by partition. */
  async read(topic: string): Promise<KafkaRecord[][]> {
    const ends = await this.connection.offsets(topic, "end");
    return Promise.all(
      ends.map(async (end, partition) => {
        const records: KafkaRecord[] = [];
        for (let offset = 0; offset < end;) {
          const [fetched] = await this.connection.fetch([{ topic, partition, offset }], 500);
          records.push(...fetched!.records);
          offset = fetched!.nextOffset;
        }
        return records;
      }),
    );
  }

  /** Resolves once the internal topics hold `count` source records, and their last records are folded into `store`. */
  async settled(store: OnlineStore, count: number, timeoutMs = 120_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const states = await Promise.all(this.routes.map((route) => this.#isSettled(store, route, count)));
      if (states.every((one) => one === "")) return;
      if (Date.now() > until) throw new Error(`not settled: ${states.join("; ")}`);
      await sleep(50);
    }
  }

  async #isSettled(store: OnlineStore, { topic }: Route, count: number): Promise<string> {
    const partitions = await this.read(topic).catch(() => []);
    // A correction is a retraction everywhere, half a place before its record, and maybe an event.
    const taken = new Set(
      partitions.flat().map((record) => {
        const origin = parseOrigin(record.headers().get("onefold-origin")?.toString() ?? "");
        return `${origin?.partition}/${Math.ceil(origin?.offset ?? 0)}`;
      }),
    );
    if (taken.size < count) return `${topic} has ${taken.size} of ${count}`;
    const { metas } = await store.read(
      [],
      partitions.map((_, partition) => `kafka/${topic}/${partition}`),
    );
    for (const [partition, records] of partitions.entries()) {
      const end = (records.at(-1)?.offset ?? -1) + 1;
      const stored = metas[partition];
      const position = stored ? (JSON.parse(Buffer.from(stored).toString()) as { offset: number }).offset : 0;
      if (position < end) return `${topic}/${partition} is at ${position} of ${end}`;
    }
    return "";
  }

  /** What the states of each view must be, as hex by key, by an undisturbed fold of the topic as it stands. */
  async expectedStates(route: Route): Promise<Map<string, Record<string, string>>> {
    const partitions = await this.read(route.topic);
    const door = compileDoor(route.source, route.views);
    const keyOf = compileKey(route);
    for (const [partition, records] of partitions.entries()) {
      for (const { value } of records) {
        if (value === null) continue;
        const key = keyOf(readEvent(door, value, Number.POSITIVE_INFINITY as Micros));
        if (partitionOfKey(Buffer.from(key), partitions.length) !== partition)
          throw new Error(`${key} in ${partition}`);
      }
    }
    return correctedStates(this.source, route, partitions);
  }

  /** The states of each view as they are stored, as hex by key. */
  async storedStates(store: OnlineStore, route: Route): Promise<Map<string, Record<string, string>>> {
    const stored = new Map<string, Record<string, string>>();
    for (const view of route.views) {
      const states: Record<string, string> = {};
      for await (const { key, bytes } of store.scanStates(spaceOf(view)))
        states[key] = Buffer.from(bytes).toString("hex");
      stored.set(view.name, states);
    }
    return stored;
  }

  /** Sum over entities of a view's lifetime count: each event that was taken counts once. */
  async countOf(store: OnlineStore, route: Route): Promise<number> {
    let count = 0;
    for (const { definition, entity, ...view } of route.views.slice(0, 1)) {
      const fold: ViewFold = compileViewFold(definition, this.source, entity);
      for await (const { bytes } of store.scanStates(spaceOf({ definition, entity, ...view }))) {
        count += fold.decode(bytes).eventCount;
      }
    }
    return count;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.connection.close();
  }
}
