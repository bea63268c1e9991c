import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { type KafkaBroker, startKafka } from "../../services/kafka.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../../services/redis.ts";
import { KafkaWorld, sentPayment, type SentPayment } from "./kafka-world.ts";
import { WorkerProcess } from "./worker-process.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  sent = 0;
  for (const close of closing.splice(0).toReversed()) await close();
});

interface House {
  readonly kafka: KafkaBroker;
  readonly redis: RedisServer;
  readonly store: OnlineStore;
  readonly world: KafkaWorld;
  start(): Promise<WorkerProcess>;
}

async function open(redisOptions: RedisOptions = { durable: true }): Promise<House> {
  const [kafka, redis] = await Promise.all([
    startKafka({ config: { "group.min.session.timeout.ms": "1000" } }),
    startRedis(redisOptions),
  ]);
  closing.push(
    () => kafka.close(),
    () => redis.close(),
  );
  const store = await openRedisStore({ url: `${redis.url}?timeout_ms=5000` });
  closing.push(() => store.close());
  const world = await KafkaWorld.open(kafka.address, { sessionMs: 3000 });
  closing.push(() => world.close());
  const start = async (): Promise<WorkerProcess> => {
    const worker = await WorkerProcess.start(world, { onlineUrl: redis.url });
    closing.push(() => worker.kill("SIGKILL"));
    return worker;
  };
  return { kafka, redis, store, world, start };
}

/** Payments that were sent, each with an id of its own: one that a failed attempt left behind is there twice. */
let sent = 0;
async function send(
  world: KafkaWorld,
  count: number,
  partsOf: (n: number) => Partial<SentPayment> = () => ({}),
): Promise<void> {
  await world.send(Array.from({ length: count }, (_, i) => sentPayment(sent + i, partsOf(sent + i))));
  sent += count;
}

/** No event lost, none counted twice: the bytes of an undisturbed fold of the same topic. */
async function expectUndisturbed({ world, store }: House): Promise<void> {
  await world.settled(store, world.sent);
  for (const route of world.routes) {
    expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
  }
  expect(await world.countOf(store, world.routes[0]!)).toBe(sent);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("killed in the midst of batches, again and again, leave what an undisturbed one would", async () => {
    const house = await open();
    let inMidst = 0;
    for (let round = 0; round < 3; round++) {
      const worker = await house.start();
      await worker.until(({ partitions }) => partitions > 0);
      const sending = (async () => {
        for (let part = 0; part < 40; part++) await send(house.world, 100);
      })();
      await worker.until(({ folded }) => folded > 0);
      await sleep(round * 30);
      await worker.kill("SIGKILL");
      await sending;
      const folded = await house.world.countOf(house.store, house.world.routes[0]!);
      if (folded > 0 && folded < house.world.sent) inMidst++;
    }
    expect(inMidst).toBeGreaterThan(0);
    await house.start();
    await expectUndisturbed(house);
  });

  it("go on where they were when the broker is killed and started again", async () => {
    const house = await open();
    const worker = await house.start();
    await send(house.world, 4000);
    await worker.until(({ folded }) => folded > 0);
    await house.kafka.kill();
    await sleep(2000);
    await house.kafka.restart();
    for (let tries = 0; ; tries++) {
      try {
        await send(house.world, 1000);
        break;
      } catch (error) {
        if (tries > 20) throw error;
        await sleep(300);
      }
    }
    await expectUndisturbed(house);
  });

  it("fold anew what a Redis that was killed has lost, were it while nothing was written", async () => {
    const house = await open({ durable: false });
    const worker = await house.start();
    await send(house.world, 1000, (n) => ({ user: `once-${n}` }));
    await worker.until(({ folded }) => folded === 2000);
    await house.redis.kill();
    await house.redis.restart();
    await send(house.world, 1000);
    await expectUndisturbed(house);
    await send(house.world, 3000);
    await worker.until(({ folded }) => folded > 5000);
    await house.redis.kill();
    await send(house.world, 1000);
    await house.redis.restart();
    await send(house.world, 1000);
    await expectUndisturbed(house);
  });

  it("do no harm when they wake up after another has taken their partitions over", async () => {
    const house = await open();
    const sleeper = await house.start();
    await send(house.world, 4000);
    await sleeper.until(({ folded }) => folded > 0);
    sleeper.pause();
    const other = await house.start();
    await send(house.world, 4000);
    await other.until(({ partitions }) => partitions === 8);
    await send(house.world, 1000);
    sleeper.resume();
    await send(house.world, 1000);
    await expectUndisturbed(house);
    await sleeper.until(({ partitions }) => partitions > 0 && partitions < 8);
  });
});
