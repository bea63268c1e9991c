import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { acceptedOffsets, archivedOffsets } from "./archived-offsets.ts";
import { FaultHouse } from "./fault-house.ts";
import { HONEST } from "./watched-server.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
let engine: QueryEngine;
beforeEach(async () => {
  engine = await openDuckDb({ threads: 1 });
});
afterEach(async () => {
  await house?.close();
  await engine?.close();
});

function expectUndisturbed({ found, right }: Awaited<ReturnType<FaultHouse["outcome"]>>): void {
  expect(found).toEqual(right);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it(
    "killed in the midst of batches, again and again, leave what an undisturbed one would",
    { timeout: 400_000 },
    async () => {
      house = await FaultHouse.open();
      const server = await house.serve();
      const { archiveFolder } = server;
      let inMidst = 0;
      for (let round = 0; round < 2; round++) {
        const worker = await house.start();
        await worker.until(({ partitions }) => partitions > 0);
        // However slow the machine, there is more to come when the worker is killed.
        const state = { isKilled: false };
        const sending = (async () => {
          for (let part = 0; part < 40 || !state.isKilled; part++) {
            await house.send(100);
            if (part >= 40) await sleep(50);
          }
        })();
        await worker.until(({ folded }) => folded > 0);
        await sleep(round * 40);
        await worker.kill("SIGKILL");
        state.isKilled = true;
        await sending;
        const folded = await house.world.countOf(house.store, house.world.routes[0]!);
        if (folded > 0 && folded < house.world.sent) inMidst++;
      }
      expect(inMidst).toBeGreaterThan(0);
      const last = await house.start();
      expectUndisturbed(await house.outcome());
      for (const { topic } of house.world.routes) {
        const right = await acceptedOffsets(house.world, topic);
        await expect
          .poll(() => archivedOffsets(engine, join(archiveFolder, "events", topic)).catch(() => []), {
            timeout: 60_000,
          })
          .toEqual(right);
      }
      expect(await server.verdict()).toEqual(HONEST);
      expect(await last.kill("SIGTERM")).toBe(0);
    },
  );
});
