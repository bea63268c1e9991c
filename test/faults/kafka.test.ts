import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import type { KafkaBroker } from "../services/kafka.ts";
import { FaultHouse } from "../ingest/kafka/fault-house.ts";
import { HONEST } from "../ingest/kafka/watched-server.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
afterEach(() => house?.close());

const TIMEOUT = { timeout: 400_000 };

/** No event is lost, and none counted twice. */
async function expectUndisturbed(): Promise<void> {
  const { found, right } = await house.outcome();
  expect(found).toEqual(right);
}

describeWithBoth("workers on Kafka and Redis", () => {
  let kafka: KafkaBroker;
  beforeAll(async () => {
    kafka = await FaultHouse.startKafka();
  });
  afterAll(() => kafka?.close());

  it("go on where they were when the broker is killed and started again", TIMEOUT, async () => {
    house = await FaultHouse.open({ durable: true }, kafka);
    const server = await house.serve({ isPatient: true });
    const worker = await house.start();
    await house.send(4000);
    await worker.until(({ folded }) => folded > 0);
    await server.serves(100);
    const refusedBefore = server.refusedCount;
    await house.kafka.kill();
    await sleep(2000);
    await house.kafka.restart();
    for (let tries = 0; ; tries++) {
      try {
        await house.send(1000);
        break;
      } catch (error) {
        if (tries > 200) throw error;
        await sleep(300);
      }
    }
    await expectUndisturbed();
    // Neither the broker nor a worker is asked for a vector.
    expect(server.refusedCount).toBe(refusedBefore);
    expect(await server.verdict()).toEqual(HONEST);
  });

  it("fold anew what a Redis that was killed has lost, were it while nothing was written", TIMEOUT, async () => {
    house = await FaultHouse.open({ durable: false }, kafka);
    const server = await house.serve();
    const worker = await house.start();
    await house.send(1000, (n) => ({ user: `once-${n}` }));
    // More where it has lost its partitions for a moment, and folded some anew.
    await worker.until(({ folded }) => folded >= 2000);
    await server.serves(100);
    const refusedBefore = server.refusedCount;
    await house.redis.kill();
    await house.redis.restart();
    await house.send(1000);
    await expectUndisturbed();
    await server.serves(100);
    await house.send(3000);
    await worker.until(({ folded }) => folded > 5000);
    await house.redis.kill();
    await house.send(1000);
    await house.redis.restart();
    await house.send(1000);
    await expectUndisturbed();
    // It never was an answer that Redis had nothing.
    expect(server.refusedCount).toBeGreaterThan(refusedBefore);
    expect(await server.verdict()).toEqual(HONEST);
  });

  it("do no harm when they wake up after another has taken their partitions over", TIMEOUT, async () => {
    house = await FaultHouse.open({ durable: true }, kafka);
    const server = await house.serve({ isPatient: true });
    const sleeper = await house.start();
    await house.send(4000);
    await sleeper.until(({ folded }) => folded > 0);
    await server.serves(100);
    const refusedBefore = server.refusedCount;
    sleeper.pause();
    const other = await house.start();
    await house.send(4000);
    await other.until(({ partitions }) => partitions === 8);
    await house.send(1000);
    sleeper.resume();
    await house.send(1000);
    await expectUndisturbed();
    // Neither the broker nor a worker is asked for a vector.
    expect(server.refusedCount).toBe(refusedBefore);
    expect(await server.verdict()).toEqual(HONEST);
    await sleeper.until(({ partitions }) => partitions > 0 && partitions < 8);
  });
});
