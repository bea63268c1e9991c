/** Kafka and Redis of a test's own, with payments that go through them, and workers as processes: all may be killed. */
import { setTimeout as sleep } from "node:timers/promises";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { type KafkaBroker, startKafka } from "../../services/kafka.ts";
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from "../../services/redis-cluster.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../../services/redis.ts";
import { KafkaWorld, sentPayment, type SentPayment } from "./kafka-world.ts";
import { WatchedServer } from "./watched-server.ts";
import { WorkerProcess, type WorkerProcessOptions } from "./worker-process.ts";

const SAID_CHARS_MAX = 4000;

export interface Outcome {
  readonly count: number;
  readonly states: readonly [view: string, byKey: Record<string, string>][];
}

export class FaultHouse<Redis extends RedisServer | RedisCluster = RedisServer> {
  readonly kafka: KafkaBroker;
  /** Whether the broker goes with the house; else its topics stay, each under a prefix of its own. */
  readonly #ownsKafka: boolean;
  readonly redis: Redis;
  readonly onlineUrl: string;
  readonly store: OnlineStore;
  readonly world: KafkaWorld;
  readonly #workers: WorkerProcess[] = [];
  /** Payments, each with an id of its own: one that a failed attempt left behind is there twice. */
  sent = 0;
  #again = 0;
  #server: WatchedServer | null = null;

  private constructor(
    kafka: KafkaBroker,
    ownsKafka: boolean,
    redis: Redis,
    onlineUrl: string,
    store: OnlineStore,
    world: KafkaWorld,
  ) {
    this.kafka = kafka;
    this.#ownsKafka = ownsKafka;
    this.redis = redis;
    this.onlineUrl = onlineUrl;
    this.store = store;
    this.world = world;
  }

  /** A broker for houses: workers on it may be taken for dead as soon as houses want. */
  static startKafka(): Promise<KafkaBroker> {
    return startKafka({ config: { "group.min.session.timeout.ms": "1000" } });
  }

  /** On a broker of its own, unless one is given, of `startKafka`, that outlives it. */
  static open(options: RedisOptions = { durable: true }, broker?: KafkaBroker): Promise<FaultHouse> {
    return FaultHouse.#open(startRedis(options), ({ url }) => url, broker);
  }

  static openOnCluster(options: RedisClusterOptions, broker?: KafkaBroker): Promise<FaultHouse<RedisCluster>> {
    const urlOf = ({ nodes }: RedisCluster): string =>
      `redis://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
    return FaultHouse.#open(startRedisCluster(options), urlOf, broker);
  }

  static async #open<Redis extends RedisServer | RedisCluster>(
    starting: Promise<Redis>,
    urlOf: (redis: Redis) => string,
    broker?: KafkaBroker,
  ): Promise<FaultHouse<Redis>> {
    const ownsKafka = broker === undefined;
    const both = [ownsKafka ? FaultHouse.startKafka() : broker, starting] as const;
    try {
      const [kafka, redis] = await Promise.all(both);
      const url = urlOf(redis);
      const store = await openRedisStore({ url: `${url}?timeout_ms=5000` });
      const world = await KafkaWorld.open(kafka.address, { sessionMs: 3000 });
      return new FaultHouse(kafka, ownsKafka, redis, url, store, world);
    } catch (error) {
      // Nobody else has what was started.
      const [kafka, redis] = await Promise.allSettled(both);
      if (ownsKafka && kafka.status === "fulfilled") await kafka.value.close();
      if (redis.status === "fulfilled") await redis.value.close();
      throw error;
    }
  }

  /**
   * Before the first worker: from now on vectors are asked for all the time, and what workers fold is archived. A server
   * that is patient refuses none because the machine is busy.
   */
  async serve(options: { readonly isPatient?: boolean; readonly archiveFolder?: string } = {}): Promise<WatchedServer> {
    const url = `${this.onlineUrl}?timeout_ms=${options.isPatient === true ? 20_000 : 1000}`;
    this.#server = await WatchedServer.start(this.world, url, options.archiveFolder);
    return this.#server;
  }

  async start(options: Partial<WorkerProcessOptions> = {}): Promise<WorkerProcess> {
    const archive = this.#server === null ? {} : { archiveFolder: this.#server.archiveFolder };
    const worker = await WorkerProcess.start(this.world, { onlineUrl: this.onlineUrl, ...archive, ...options });
    this.#workers.push(worker);
    return worker;
  }

  async send(count: number, partsOf: (n: number) => Partial<SentPayment> = () => ({})): Promise<void> {
    await this.world.send(Array.from({ length: count }, (_, i) => sentPayment(this.sent + i, partsOf(this.sent + i))));
    this.sent += count;
  }

  /** The payments from `from` on once more, with the ids that they have. */
  async sendAgain(from: number, count: number): Promise<void> {
    await this.world.send(Array.from({ length: count }, (_, i) => sentPayment(from + i)));
    this.#again += count;
  }

  /**
   * What is stored, once all is folded, and what must be: the bytes of an undisturbed fold of the same topics, and
   * each payment counted once.
   */
  async outcome(): Promise<{ readonly found: Outcome; readonly right: Outcome }> {
    const { world, store } = this;
    await world.settled(store, world.sent - this.#again, 180_000).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await this.#workersSay()}`, { cause: error });
    });
    const right: [string, Record<string, string>][] = [];
    for (const route of world.routes) right.push(...(await world.expectedStates(route)));
    const [states, count] = await this.#stored();
    return { found: { count, states }, right: { count: this.sent, states: right } };
  }

  /** For whoever reads of a failure: how each worker stands, and the end of what it has said. */
  async #workersSay(): Promise<string> {
    const said = this.#workers.map(async (worker) => {
      const status = await worker.status().then(JSON.stringify, (error: Error) => error.message);
      return `worker ${worker.pid}: ${status}\n${worker.stderr.slice(-SAID_CHARS_MAX)}`;
    });
    return (await Promise.all(said)).join("\n");
  }

  /** A client may still ask a node of a cluster that is gone. */
  async #stored(): Promise<[Outcome["states"], number]> {
    const { world, store } = this;
    for (let tries = 0; ; tries++) {
      try {
        const states: [string, Record<string, string>][] = [];
        for (const route of world.routes) states.push(...(await world.storedStates(store, route)));
        return [states, await world.countOf(store, world.routes[0]!)];
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(200);
      }
    }
  }

  async close(): Promise<void> {
    // They archive into the folder that goes with the server.
    await Promise.all(this.#workers.map((worker) => worker.kill("SIGKILL")));
    await this.#server?.close();
    await this.world.close();
    await this.store.close();
    await Promise.all([this.#ownsKafka ? this.kafka.close() : undefined, this.redis.close()]);
  }
}
