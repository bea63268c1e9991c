/**
 * Whatever a table is doing when the power goes, between any two writes: it can be read, it holds what it held before or
 * after, and work goes on.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import { compactTable } from "../../src/offline-store/table-compaction.ts";
import { kindOfTable } from "../../src/offline-store/table-kinds.ts";
import { fileRelation, rewriteFiles } from "../../src/offline-store/table-rewrite.ts";
import type { TableStorage } from "../../src/offline-store/table-storage.ts";
import { writeParquetFiles } from "../../src/offline-store/parquet-file.ts";
import { datedStorage } from "./dated-storage.ts";
import { failingStorage } from "./failing-storage.ts";

const COLUMNS = [
  { name: "n", type: { name: "int64" }, nullable: true },
  { name: "_minute", type: { name: "timestamp" }, nullable: true },
] as const;
const HOUR_MS = 3_600_000;

let engine: QueryEngine;
let root: string;
/** A table of eight commits, of which some files were joined two days ago and others are still to be. */
let prepared: string;
const clock = new ReplayClock(parseMicros("2001-01-30T12:00:00Z"));

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-crash-"));
  prepared = join(root, "prepared");
  const table = await openIn(prepared);
  for (let n = 0; n < 5; n++) await append(table, n);
  await compact(table);
  for (let n = 5; n < 7; n++) await append(table, n);
  clock.advanceTo(micros(clock.now() + 48 * HOUR_MS * 1000));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

function openIn(folder: string, storage: TableStorage = datedStorage(clock)): Promise<OfflineTable> {
  const store = openOfflineStore(folder, engine, { clock, storage });
  return store.table("features/numbers@1", { columns: COLUMNS, partitionBy: { column: "_month", of: "_minute" } });
}

/** Adds the row n, and a second one in the month behind. */
async function append(table: OfflineTable, n: number): Promise<void> {
  const files = await writeParquetFiles(engine, {
    select: `SELECT n::BIGINT AS n, make_timestamptz(980899200000000 + n // 100 * 2419200000000) AS _minute
      FROM (VALUES (${n}), (${n} + 100)) t(n)`,
    folder: table.folder,
    prefix: `rows-${n}`,
    columns: COLUMNS,
    partitionBy: (await table.snapshot()).schema.partitionBy,
    tagsOf: () => ({}),
  });
  await table.commit({ add: files, txn: [{ applicationId: "rows", version: n }], operation: "APPEND" });
}

async function compact(table: OfflineTable): Promise<void> {
  await compactTable(table, engine, kindOfTable((await table.snapshot()).schema)!, 2);
}

async function rows(table: OfflineTable): Promise<unknown[]> {
  const paths = (await table.snapshot()).files.map(({ path }) => sqlText(path)).join(", ");
  return (await engine.rows(`SELECT n FROM read_parquet([${paths}]) ORDER BY n`)).map(({ n }) => n);
}

const BEFORE = [0, 1, 2, 3, 4, 5, 6, 100, 101, 102, 103, 104, 105, 106];

interface Work {
  readonly name: string;
  /** What the table holds once it is done. */
  readonly after: readonly number[];
  readonly run: (table: OfflineTable) => Promise<unknown>;
  /** Whether it was done when the power went, of a table that was opened again. */
  readonly isDone: (table: OfflineTable) => Promise<boolean>;
}

const hasCommitted = async (table: OfflineTable): Promise<boolean> => (await table.snapshot()).version > 8;

const WORK: readonly Work[] = [
  { name: "an append", after: [...BEFORE, 7, 107], run: (table) => append(table, 7), isDone: hasCommitted },
  {
    name: "a commit with a checkpoint",
    after: [...BEFORE, 7, 8, 107, 108],
    run: async (table) => {
      if ((await table.lastTxn("rows")) === 6) await append(table, 7);
      await append(table, 8);
    },
    isDone: async (table) => (await table.snapshot()).version === 10,
  },
  { name: "a compaction", after: BEFORE, run: compact, isDone: hasCommitted },
  {
    name: "taking a row out",
    after: BEFORE.filter((n) => n !== 3),
    run: (table) =>
      rewriteFiles(table, engine, {
        operation: "FORGET",
        plan: async ({ files }) =>
          files.map((file) => ({ files: [file], select: `SELECT * FROM ${fileRelation(file)} WHERE n <> 3` })),
      }),
    isDone: hasCommitted,
  },
  {
    name: "a vacuum",
    after: BEFORE,
    run: (table) => table.cleanUp({ keptMillis: 24 * HOUR_MS, logKeptMillis: HOUR_MS, isUnneeded: () => true }),
    isDone: async () => true,
  },
];

describe("a crash between any two writes", () => {
  it.each(WORK)("of $name leaves the table whole, and it can be done again", async ({ after, run, isDone }) => {
    const sorted = after.toSorted((a, b) => a - b);
    const outcomes = new Set<string>();
    for (const effect of [false, true]) {
      for (let failAt = 0; ; failAt++) {
        const folder = join(root, `case-${String(effect)}-${failAt}`);
        await cp(prepared, folder, { recursive: true, preserveTimestamps: true });
        const storage = failingStorage(failAt, effect, datedStorage(clock));
        const failure = await openIn(folder, storage)
          .then(run)
          .then(
            () => null,
            (error: unknown) => error,
          );
        const reopened = await openIn(folder);
        const done = await isDone(reopened);
        const found = await rows(reopened);
        // All of a commit or nothing of it, also where it has files in two months.
        if (done) expect(found).toEqual(sorted);
        else expect([BEFORE, [...BEFORE, 7, 107].toSorted((x, y) => x - y)]).toContainEqual(found);
        if (failure === null) expect(done).toBe(true);
        outcomes.add(done ? "done" : "not done");
        if (!done) await run(reopened);
        expect(await rows(reopened)).toEqual(sorted);
        await append(reopened, 50);
        expect(await rows(await openIn(folder))).toEqual([...sorted, 50, 150].toSorted((a, b) => a - b));
        await rm(folder, { recursive: true });
        if (storage.writes() <= failAt) break;
      }
    }
    expect(outcomes).toContain("done");
  });
});
