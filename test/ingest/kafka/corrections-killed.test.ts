/**
 * Payments that are taken back and replaced while workers are killed and come back, over a real Kafka and a real Redis,
 * with a server that is asked all the time: states are the fold of the payments that count, each once, and the audit
 * computes again what was served, before each correction and behind it.
 */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterEach, expect, it } from "vitest";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { acceptedOffsets, archivedOffsets } from "./archived-offsets.ts";
import { FaultHouse } from "./fault-house.ts";
import { sentPayment } from "./kafka-world.ts";
import { HONEST } from "./watched-server.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
afterEach(() => house?.close());

describeWithBoth("corrections over Kafka and Redis", () => {
  it("are folded once each, whatever workers are killed meanwhile", { timeout: 600_000 }, async () => {
    house = await FaultHouse.open();
    const server = await house.serve();
    server.mayGoBack();
    const { world } = house;
    let worker = await house.start();
    await worker.until(({ partitions }) => partitions > 0);
    for (let round = 0; round < 3; round++) {
      const first = house.sent;
      await house.send(120);
      // Of this round, and of those before: taken back, replaced by others of the same user, or of another.
      for (let part = 0; part < 4; part++) {
        const ids = Array.from({ length: 6 }, (_, i) => (first + part * 17 + i * 3) % house.sent);
        await world.correct(
          ids.map((n, i) => ({
            id: `p${n}`,
            ...(i % 3 === 0
              ? {}
              : { by: sentPayment(n, { amount: 1000 + i, ...(i % 3 === 1 ? {} : { user: `u${part}` }) }) }),
          })),
        );
      }
      await worker.until(({ folded }) => folded > 0);
      if (round === 1) {
        // A second one takes a part of the partitions over.
        const other = await house.start();
        await other.until(({ partitions }) => partitions > 0);
      }
      await worker.kill("SIGKILL");
      worker = await house.start();
    }
    await world.settled(house.store, world.sent, 180_000);
    for (const route of world.routes) {
      // A producer that tried again may have sent corrections twice, so that more is routed than was waited for.
      const both = async () =>
        [await world.storedStates(house.store, route), await world.expectedStates(route)] as const;
      await expect.poll(async () => isDeepStrictEqual(...(await both())), { timeout: 120_000 }).toBe(true);
    }
    const engine = await openDuckDb({ threads: 1 });
    try {
      for (const { topic } of world.routes) {
        const right = await acceptedOffsets(world, topic);
        await expect
          .poll(() => archivedOffsets(engine, join(server.archiveFolder, "events", topic)).catch(() => []), {
            timeout: 120_000,
          })
          .toEqual(right);
      }
    } finally {
      await engine.close();
    }
    expect(await server.verdict()).toEqual(HONEST);
    expect(await worker.kill("SIGTERM")).toBe(0);
  });
});
