import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { describeWhere } from "../../services/describe-where.ts";
import { FaultHouse } from "./fault-house.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
afterEach(() => house.close());

function expectUndisturbed({ found, right }: Awaited<ReturnType<FaultHouse["outcome"]>>): void {
  expect(found).toEqual(right);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("killed in the midst of batches, again and again, leave what an undisturbed one would", async () => {
    house = await FaultHouse.open();
    let inMidst = 0;
    for (let round = 0; round < 3; round++) {
      const worker = await house.start();
      await worker.until(({ partitions }) => partitions > 0);
      const sending = (async () => {
        for (let part = 0; part < 40; part++) await house.send(100);
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
    expectUndisturbed(await house.outcome());
  });
});
