import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../../src/offline-store/engine.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { FaultHouse } from "./fault-house.ts";
import type { KafkaWorld } from "./kafka-world.ts";

const describeWithBoth = await describeWhere("kafka", { ours: true });

let house: FaultHouse;
let folder: string;
let engine: QueryEngine;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-kafka-kill-"));
  engine = await openDuckDb({ threads: 1 });
});
afterEach(async () => {
  await house.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** `partition/offset` of each event of a topic that is no copy and has an id of its own. */
async function acceptedOffsets(world: KafkaWorld, topic: string): Promise<string[]> {
  const partitions = await world.read(topic);
  return partitions.flatMap((records, partition) => {
    const ids = new Set<string>();
    return records.flatMap(({ offset, value }) => {
      const { id } = JSON.parse(value!.toString()) as { readonly id: string };
      if (ids.has(id)) return [];
      ids.add(id);
      return [`${partition}/${offset}`];
    });
  });
}

/** The same of the offline table, as it stands. */
async function archivedOffsets(table: string): Promise<string[]> {
  const tables = openOfflineStore(dirname(table), engine);
  const { files } = await (await tables.find(basename(table)))!.snapshot();
  const paths = files.map(({ path }) => sqlText(path)).join(", ");
  const rows = await engine.rows(
    `SELECT _partition::INT || '/' || _offset::INT AS place FROM read_parquet([${paths}]) ORDER BY _partition, _offset`,
  );
  return rows.map(({ place }) => place as string);
}

function expectUndisturbed({ found, right }: Awaited<ReturnType<FaultHouse["outcome"]>>): void {
  expect(found).toEqual(right);
}

describeWithBoth("workers on Kafka and Redis", () => {
  it("killed in the midst of batches, again and again, leave what an undisturbed one would", async () => {
    house = await FaultHouse.open();
    const archiveFolder = join(folder, "offline");
    let inMidst = 0;
    for (let round = 0; round < 2; round++) {
      const worker = await house.start({ archiveFolder });
      await worker.until(({ partitions }) => partitions > 0);
      const sending = (async () => {
        for (let part = 0; part < 40; part++) await house.send(100);
      })();
      await worker.until(({ folded }) => folded > 0);
      await sleep(round * 40);
      await worker.kill("SIGKILL");
      await sending;
      const folded = await house.world.countOf(house.store, house.world.routes[0]!);
      if (folded > 0 && folded < house.world.sent) inMidst++;
    }
    expect(inMidst).toBeGreaterThan(0);
    const last = await house.start({ archiveFolder });
    expectUndisturbed(await house.outcome());
    for (const { topic } of house.world.routes) {
      const right = await acceptedOffsets(house.world, topic);
      await expect
        .poll(() => archivedOffsets(join(archiveFolder, "events", topic)).catch(() => []), { timeout: 20_000 })
        .toEqual(right);
    }
    expect(await last.kill("SIGTERM")).toBe(0);
  });
});
