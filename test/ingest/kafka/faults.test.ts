import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { type KafkaBroker, startKafka } from "../../services/kafka.ts";
import { type RedisServer, startRedis } from "../../services/redis.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";
import { WorkerProcess } from "./worker-process.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface House {
  readonly kafka: KafkaBroker;
  readonly redis: RedisServer;
  readonly store: OnlineStore;
  readonly world: KafkaWorld;
  start(): Promise<WorkerProcess>;
}

async function open(): Promise<House> {
  const [kafka, redis] = await Promise.all([
    startKafka({ config: { "group.min.session.timeout.ms": "1000" } }),
    startRedis({ durable: true }),
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

let sent = 0;
async function send(world: KafkaWorld, count: number): Promise<void> {
  await world.send(Array.from({ length: count }, (_, i) => sentPayment(sent + i)));
  sent += count;
}

/** No event lost, none counted twice: the bytes of an undisturbed fold of the same topic. */
async function expectUndisturbed({ world, store }: House): Promise<void> {
  await world.settled(store, world.sent);
  for (const route of world.routes) {
    expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
  }
  expect(await world.countOf(store, world.routes[0]!)).toBe(world.sent);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("killed in the midst of batches, again and again, leave what an undisturbed one would", async () => {
    const house = await open();
    for (let round = 0; round < 4; round++) {
      const worker = await house.start();
      const sending = send(house.world, 3000);
      await worker.until(({ partitions, folded }) => partitions > 0 && folded > 0);
      await sleep(10 + round * 60);
      await worker.kill("SIGKILL");
      await sending;
    }
    await house.start();
    await expectUndisturbed(house);
  });
});
