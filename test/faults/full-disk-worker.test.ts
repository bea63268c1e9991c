import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { acceptedOffsets, archivedOffsets } from "../ingest/kafka/archived-offsets.ts";
import { FaultHouse } from "../ingest/kafka/fault-house.ts";
import { HONEST } from "../ingest/kafka/watched-server.ts";
import { describeWhere } from "../services/describe-where.ts";
import { openSmallDisk, type SmallDisk } from "./small-disk.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
let disk: SmallDisk;
let engine: QueryEngine;
beforeEach(async () => {
  disk = await openSmallDisk(24);
  engine = await openDuckDb({ threads: 1 });
});
afterEach(async () => {
  await house?.close();
  await engine?.close();
  await disk?.close();
});

describeWithBoth("a worker on a disk that is full", () => {
  it("folds on, says so, and archives each event once when there is room", { timeout: 400_000 }, async () => {
    house = await FaultHouse.open();
    // It serves from Redis: what the archive waits for is audited once it is there.
    const server = await house.serve({ isPatient: true, archiveFolder: join(disk.folder, "offline") });
    const { archiveFolder } = server;
    const worker = await house.start();
    await house.send(1000);
    await worker.until(({ archived }) => archived > 0);
    // At once, and with room for some files: one is written and its commit is not.
    for (const leaving of [0, 16 * 1024, 48 * 1024]) {
      await disk.fill(worker.pid, leaving);
      while ((await worker.status()).trouble === null) await house.send(100);
      await worker.until(({ trouble }) => trouble?.code === "DISK_FULL");
      // What is sent meanwhile is folded, into both views.
      const { sent } = house;
      await house.send(500);
      await worker.until(({ folded }) => folded >= 2 * (sent + 500));
      expect((await worker.status()).trouble).not.toBeNull();
      await disk.makeRoom(worker.pid);
      await worker.until(({ trouble }) => trouble === null);
    }
    const { found, right } = await house.outcome();
    expect(found).toEqual(right);
    for (const { topic } of house.world.routes) {
      const table = join(archiveFolder, "events", topic);
      const accepted = await acceptedOffsets(house.world, topic);
      await expect.poll(() => archivedOffsets(engine, table), { timeout: 120_000 }).toEqual(accepted);
    }
    // Before there was a worker there was no view.
    expect(Object.keys(server.answers.refused)).toEqual(["NOT_READY"]);
    expect(await server.verdict()).toEqual(HONEST);
    expect(await worker.kill("SIGTERM")).toBe(0);
  });
});
