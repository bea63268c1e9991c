/** Notes of rows that runs of `forget` have left: they go once they say nothing, and not before. */
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ForgottenNotes, rowsFolder } from "../../../src/ingest/kafka/forgotten-notes.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import type { OfflineStore } from "../../../src/offline-store/offline-store.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { dropLeftRows } from "../../../src/platform/kafka/left-rows.ts";
import { payments, START } from "../../ingest/payments.ts";

const TOPIC = "onefold.payments.by.user";

let engine: QueryEngine;
let folder: string;
let tables: OfflineStore;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "onefold-left-rows-"));
  tables = openOfflineStore(folder, engine);
  const archive = await openPartitionedEvents(tables, engine, payments, TOPIC);
  const row = payments.columns.map(() => null);
  const events = [0, 1, 5].map((offset) => ({
    row,
    eventTime: START,
    knownTime: START,
    offset,
    id: null,
    partition: 1,
  }));
  await archive.append(events as never, [{ partition: 1, offset: 6, memory: {}, after: null }]);
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a note of rows that a run has left", () => {
  it("goes a day later, once none of its rows is in a table", async () => {
    const notes = new ForgottenNotes(folder, "onefold", "payments");
    const rows = rowsFolder(folder, "onefold", "payments");
    const keep = async (places: Readonly<Record<string, readonly number[]>>, ageHours: number): Promise<string> => {
      const before = new Set(await readdir(rows));
      await notes.keepRows(new Map(Object.entries(places).map(([name, offsets]) => [name, new Set(offsets)])));
      const name = (await readdir(rows)).find((each) => !before.has(each))!;
      await date(name, ageHours);
      return name;
    };
    const date = async (name: string, ageHours: number): Promise<void> => {
      const at = Date.now() / 1000 - ageHours * 3600;
      await utimes(join(rows, name), at, at);
    };
    await mkdir(rows, { recursive: true });
    const gone = await keep({ [`${TOPIC}/1`]: [2, 3] }, 25);
    const ofNoTable = await keep({ "onefold.payments.by.shop/0": [0] }, 25);
    const present = await keep({ [`${TOPIC}/0`]: [0], [`${TOPIC}/1`]: [3, 5] }, 25);
    const underWay = await keep({ [`${TOPIC}/1`]: [2, 3] }, 1);
    for (const name of ["broken.json", ".torn.json.pending"]) {
      await writeFile(join(rows, name), "{");
      await date(name, 25);
    }
    await dropLeftRows({ engine, tables }, rows);
    const left = await readdir(rows);
    expect(left.toSorted()).toEqual([present, underWay, "broken.json"].toSorted());
    expect(left).not.toContain(gone);
    expect(left).not.toContain(ofNoTable);
    // Nothing is made where nothing was forgotten.
    await dropLeftRows({ engine, tables }, join(folder, "none"));
    expect(await readdir(folder)).not.toContain("none");
  });
});
