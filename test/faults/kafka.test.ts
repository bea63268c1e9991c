import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import { FaultHouse } from "../ingest/kafka/fault-house.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
afterEach(() => house.close());

function expectUndisturbed({ found, right }: Awaited<ReturnType<FaultHouse["outcome"]>>): void {
  expect(found).toEqual(right);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("go on where they were when the broker is killed and started again", async () => {
    house = await FaultHouse.open();
    const worker = await house.start();
    await house.send(4000);
    await worker.until(({ folded }) => folded > 0);
    await house.kafka.kill();
    await sleep(2000);
    await house.kafka.restart();
    for (let tries = 0; ; tries++) {
      try {
        await house.send(1000);
        break;
      } catch (error) {
        if (tries > 20) throw error;
        await sleep(300);
      }
    }
    expectUndisturbed(await house.outcome());
  });

  it("fold anew what a Redis that was killed has lost, were it while nothing was written", async () => {
    house = await FaultHouse.open({ durable: false });
    const worker = await house.start();
    await house.send(1000, (n) => ({ user: `once-${n}` }));
    await worker.until(({ folded }) => folded === 2000);
    await house.redis.kill();
    await house.redis.restart();
    await house.send(1000);
    expectUndisturbed(await house.outcome());
    await house.send(3000);
    await worker.until(({ folded }) => folded > 5000);
    await house.redis.kill();
    await house.send(1000);
    await house.redis.restart();
    await house.send(1000);
    expectUndisturbed(await house.outcome());
  });

  it("do no harm when they wake up after another has taken their partitions over", async () => {
    house = await FaultHouse.open();
    const sleeper = await house.start();
    await house.send(4000);
    await sleeper.until(({ folded }) => folded > 0);
    sleeper.pause();
    const other = await house.start();
    await house.send(4000);
    await other.until(({ partitions }) => partitions === 8);
    await house.send(1000);
    sleeper.resume();
    await house.send(1000);
    expectUndisturbed(await house.outcome());
    await sleeper.until(({ partitions }) => partitions > 0 && partitions < 8);
  });
});
