import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import { FaultHouse } from "../ingest/kafka/fault-house.ts";
import type { WatchedServer } from "../ingest/kafka/watched-server.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
afterEach(() => house.close());

/** Nothing is lost and nothing twice; and all that was answered meanwhile was honest, and is computed again to the bit. */
async function expectUndisturbed(server: WatchedServer, isRefused: boolean): Promise<void> {
  const { found, right } = await house.outcome();
  expect(found).toEqual(right);
  await server.serves(100);
  const { served, refused, wrong } = server.answers;
  expect(wrong).toEqual([]);
  expect(served).toBeGreaterThan(100);
  // Before the first worker there is no view.
  const { NOT_READY: _, ...others } = refused;
  if (isRefused) expect(others).not.toEqual({});
  else expect(others).toEqual({});
  const audit = await server.audit();
  expect(audit).toMatchObject({ mismatched: 0, missing: 0, pending: 0 });
  expect(audit["compared"]).toBeGreaterThan(served);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("go on where they were when the broker is killed and started again", async () => {
    house = await FaultHouse.open();
    const server = await house.serve();
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
    await expectUndisturbed(server, false);
  });

  it("fold anew what a Redis that was killed has lost, were it while nothing was written", async () => {
    house = await FaultHouse.open({ durable: false });
    const server = await house.serve();
    const worker = await house.start();
    await house.send(1000, (n) => ({ user: `once-${n}` }));
    await worker.until(({ folded }) => folded === 2000);
    await house.redis.kill();
    await house.redis.restart();
    await house.send(1000);
    const { found, right } = await house.outcome();
    expect(found).toEqual(right);
    await server.serves(100);
    await house.send(3000);
    await worker.until(({ folded }) => folded > 5000);
    await house.redis.kill();
    await house.send(1000);
    await house.redis.restart();
    await house.send(1000);
    await expectUndisturbed(server, true);
  });

  it("do no harm when they wake up after another has taken their partitions over", async () => {
    house = await FaultHouse.open();
    const server = await house.serve();
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
    await expectUndisturbed(server, false);
    await sleeper.until(({ partitions }) => partitions > 0 && partitions < 8);
  });
});
