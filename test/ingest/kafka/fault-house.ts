/** Kafka and Redis of a test's own, with payments that go through them, and workers as processes: all may be killed. */
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { type KafkaBroker, startKafka } from "../../services/kafka.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../../services/redis.ts";
import { KafkaWorld, sentPayment, type SentPayment } from "./kafka-world.ts";
import { WorkerProcess, type WorkerProcessOptions } from "./worker-process.ts";

export interface Outcome {
  readonly count: number;
  readonly states: readonly [view: string, byKey: Record<string, string>][];
}

export class FaultHouse {
  readonly kafka: KafkaBroker;
  readonly redis: RedisServer;
  readonly store: OnlineStore;
  readonly world: KafkaWorld;
  readonly #workers: WorkerProcess[] = [];
  /** Payments, each with an id of its own: one that a failed attempt left behind is there twice. */
  sent = 0;

  private constructor(kafka: KafkaBroker, redis: RedisServer, store: OnlineStore, world: KafkaWorld) {
    this.kafka = kafka;
    this.redis = redis;
    this.store = store;
    this.world = world;
  }

  static async open(redisOptions: RedisOptions = { durable: true }): Promise<FaultHouse> {
    const [kafka, redis] = await Promise.all([
      startKafka({ config: { "group.min.session.timeout.ms": "1000" } }),
      startRedis(redisOptions),
    ]);
    const store = await openRedisStore({ url: `${redis.url}?timeout_ms=5000` });
    return new FaultHouse(kafka, redis, store, await KafkaWorld.open(kafka.address, { sessionMs: 3000 }));
  }

  async start(options: Partial<WorkerProcessOptions> = {}): Promise<WorkerProcess> {
    const worker = await WorkerProcess.start(this.world, { onlineUrl: this.redis.url, ...options });
    this.#workers.push(worker);
    return worker;
  }

  async send(count: number, partsOf: (n: number) => Partial<SentPayment> = () => ({})): Promise<void> {
    await this.world.send(Array.from({ length: count }, (_, i) => sentPayment(this.sent + i, partsOf(this.sent + i))));
    this.sent += count;
  }

  /**
   * What is stored, once all is folded, and what must be: the bytes of an undisturbed fold of the same topics, and
   * each payment counted once.
   */
  async outcome(): Promise<{ readonly found: Outcome; readonly right: Outcome }> {
    const { world, store } = this;
    await world.settled(store, world.sent, 90_000);
    const found: [string, Record<string, string>][] = [];
    const right: [string, Record<string, string>][] = [];
    for (const route of world.routes) {
      found.push(...(await world.storedStates(store, route)));
      right.push(...(await world.expectedStates(route)));
    }
    const count = await world.countOf(store, world.routes[0]!);
    return { found: { count, states: found }, right: { count: this.sent, states: right } };
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill("SIGKILL")));
    await this.world.close();
    await this.store.close();
    await Promise.all([this.kafka.close(), this.redis.close()]);
  }
}
