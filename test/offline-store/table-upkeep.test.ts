/** Time travel, history, vacuum, and the log of a table that is used for long. */
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, micros, parseMicros } from "../../src/base/micros.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineStore, OfflineTable, TableFile } from "../../src/offline-store/offline-store.ts";
import { fileRelation, rewriteFiles } from "../../src/offline-store/table-rewrite.ts";
import { codeOf } from "../code-of.ts";
import { datedStorage } from "./dated-storage.ts";
import { LETTERS, writeLetters } from "./offline-table-conformance.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let engine: QueryEngine;
let root: string;
let folder: string;
let clock: ReplayClock;
let start: Micros;
let table: OfflineTable;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-upkeep-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(async () => {
  folder = await mkdtemp(join(root, "tables-"));
  start = parseMicros("2001-06-01T00:00:00Z");
  clock = new ReplayClock(start);
  table = await open().table("letters", LETTERS);
});

function open(): OfflineStore {
  return openOfflineStore(folder, engine, { clock, storage: datedStorage(clock) });
}

/** One row, an hour after what was before. */
async function append(n: number): Promise<void> {
  clock.advanceTo(micros(clock.now() + HOUR_MS * 1000));
  await table.commit({ add: [await writeLetters(engine, table, n, 1)], operation: "APPEND" });
}

/** Joins all files in one. */
async function joinFiles(): Promise<void> {
  await rewriteFiles(table, engine, {
    operation: "COMPACT",
    dataChange: false,
    plan: async ({ files }) => [
      { files, select: files.map((file) => `FROM ${fileRelation(file)}`).join(" UNION ALL ") },
    ],
  });
}

async function numbersIn(files: readonly TableFile[]): Promise<unknown[]> {
  const paths = files.map(({ path }) => sqlText(path)).join(", ");
  return (await engine.rows(`SELECT n FROM read_parquet([${paths}]) ORDER BY n`)).map(({ n }) => n);
}

const clean = (keptMillis: number, more: { dryRun?: boolean; logKeptMillis?: number } = {}) =>
  table.cleanUp({ keptMillis, logKeptMillis: 3650 * DAY_MS, isUnneeded: () => true, ...more });

describe("an earlier version of a table", () => {
  it("is read by its number or by a time, the last one that was committed by then", async () => {
    for (let n = 0; n < 4; n++) await append(n);
    await joinFiles();
    const at = async (hours: number): Promise<unknown[]> =>
      numbersIn((await table.snapshot({ committedBy: micros(start + hours * HOUR_MS * 1000) })).files);
    expect([await at(1), await at(2.5), await at(4), await at(99)]).toEqual([[0], [0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]);
    expect(await numbersIn((await table.snapshot(2)).files)).toEqual([0, 1]);
    expect(await codeOf(table.snapshot({ committedBy: micros(start - 1) }))).toBe("TABLE_VERSION_UNKNOWN");
    expect(await codeOf(table.snapshot(6))).toBe("TABLE_VERSION_UNKNOWN");
  });

  it("is in the history, with what its commit did", async () => {
    for (let n = 0; n < 2; n++) await append(n);
    await joinFiles();
    const hour = (n: number): number => start + n * HOUR_MS * 1000;
    const added = { operation: "APPEND", filesAdded: 1, filesRemoved: 0, rowsAdded: 1 };
    expect(await table.history(3)).toEqual([
      { version: 3, committedAt: hour(2), operation: "COMPACT", filesAdded: 1, filesRemoved: 2, rowsAdded: 2 },
      { version: 2, committedAt: hour(2), ...added },
      { version: 1, committedAt: hour(1), ...added },
    ]);
    expect((await table.history(100)).at(-1)).toMatchObject({ version: 0, operation: "CREATE TABLE" });
  });

  it("is refused once vacuum has removed a file of it, and the newest is whole", async () => {
    for (let n = 0; n < 3; n++) await append(n);
    await joinFiles();
    clock.advanceTo(micros(clock.now() + 2 * DAY_MS * 1000));
    await append(3);
    await clean(DAY_MS);
    for (const reader of [table, (await open().find("letters"))!]) {
      expect(await codeOf(reader.snapshot(3))).toBe("TABLE_VERSION_GONE");
      expect(await numbersIn((await reader.snapshot(4)).files)).toEqual([0, 1, 2]);
      expect(await numbersIn((await reader.snapshot()).files)).toEqual([0, 1, 2, 3]);
    }
  });
});

describe("a table that is read while it is joined and vacuumed", () => {
  it("gives a reader the version that it has a list of, until vacuum is forced; then a clear error", async () => {
    for (let n = 0; n < 3; n++) await append(n);
    const { files } = await table.snapshot();
    await joinFiles();
    await append(3);
    clock.advanceTo(micros(clock.now() + 23 * HOUR_MS * 1000));
    await clean(DAY_MS);
    expect(await numbersIn(files)).toEqual([0, 1, 2]);
    await clean(0);
    expect(await codeOf(numbersIn(files))).toBe("TABLE_VERSION_GONE");
    expect(await codeOf(engine.rows(`FROM ${fileRelation(files[0]!)}`))).toBe("TABLE_VERSION_GONE");
    // A file that belongs to no table was named wrongly.
    expect(await codeOf(engine.rows(`FROM read_parquet('${root}/none.parquet')`))).toBe("FILE_UNREADABLE");
  });

  it("is whole at every moment, whoever joins, appends and vacuums meanwhile", async () => {
    const writer = (await open().find("letters"))!;
    const progress = { appended: 0 };
    const appending = (async () => {
      for (; progress.appended < 30; progress.appended++) await append(progress.appended);
    })();
    let reads = 0;
    while (progress.appended < 30) {
      const before = progress.appended;
      const { files } = await (await open().find("letters"))!.snapshot();
      const numbers = files.length === 0 ? [] : await numbersIn(files);
      // Every row that was committed before, once, and perhaps some of those since.
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => n));
      expect(numbers.length).toBeGreaterThanOrEqual(before);
      reads++;
      if (reads % 3 === 0 && files.length > 1) {
        await rewriteFiles(writer, engine, {
          operation: "COMPACT",
          dataChange: false,
          plan: async (snapshot) => [
            {
              files: snapshot.files,
              select: snapshot.files.map((file) => `FROM ${fileRelation(file)}`).join(" UNION ALL "),
            },
          ],
        });
        await writer.cleanUp({ keptMillis: DAY_MS, logKeptMillis: DAY_MS, isUnneeded: () => true });
      }
    }
    await appending;
    expect(reads).toBeGreaterThan(0);
    expect(await numbersIn((await table.snapshot()).files)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  });
});

describe("vacuum", () => {
  it("deletes what left the table longer ago than asked, says so first, and forgets it", async () => {
    for (let n = 0; n < 3; n++) await append(n);
    const small = (await table.snapshot()).files.map(({ path }) => path);
    await joinFiles();
    expect(await clean(HOUR_MS)).toMatchObject({ files: [], bytes: 0 });
    clock.advanceTo(micros(clock.now() + 2 * HOUR_MS * 1000));
    const dry = await clean(HOUR_MS, { dryRun: true });
    expect(dry.files).toEqual(small.toSorted());
    expect(await numbersIn((await table.snapshot(3)).files)).toEqual([0, 1, 2]);
    expect(await clean(HOUR_MS)).toEqual(dry);
    expect(dry.bytes).toBeGreaterThan(500);
    expect((await readdir(table.folder)).filter((name) => name.endsWith(".parquet"))).toHaveLength(1);
    // Whoever opens the table next knows them no more.
    expect((await (await open().find("letters"))!.snapshot()).removed).toEqual([]);
    expect(await clean(HOUR_MS)).toMatchObject({ files: [], bytes: 0 });
  });

  it("writes nothing where it only says what it would delete", async () => {
    for (let n = 0; n < 3; n++) await append(n);
    await joinFiles();
    clock.advanceTo(micros(clock.now() + 2 * HOUR_MS * 1000));
    const written: string[] = [];
    const noted =
      <R>(name: string, answer: R) =>
      async (): Promise<R> => {
        written.push(name);
        return answer;
      };
    const storage = {
      ...datedStorage(clock),
      putIfAbsent: noted("putIfAbsent", false),
      replace: noted("replace", undefined),
      publish: noted("publish", undefined),
      remove: noted("remove", undefined),
      makeFolder: noted("makeFolder", undefined),
      // It writes a file, whose time tells it.
      clockMillis: noted("clockMillis", clock.now() / 1000),
    };
    const beside = (await openOfflineStore(folder, engine, { clock, storage }).find("letters"))!;
    const request = { keptMillis: HOUR_MS, logKeptMillis: 3650 * DAY_MS, isUnneeded: () => true, dryRun: true };
    expect((await beside.cleanUp(request)).files).toHaveLength(3);
    expect(written).toEqual([]);
  });

  it("keeps files that mean something though they left the table", async () => {
    for (let n = 0; n < 2; n++) await append(n);
    const [first] = (await table.snapshot()).files;
    await table.commit({ add: [], remove: [first!.path.slice(table.folder.length + 1)], operation: "OPEN EPOCH" });
    clock.advanceTo(micros(clock.now() + DAY_MS * 1000));
    const report = await table.cleanUp({
      keptMillis: 0,
      logKeptMillis: DAY_MS,
      isUnneeded: ({ tags }) => tags["from"] !== "0",
    });
    expect(report.files).toEqual([]);
    expect(await numbersIn((await (await open().find("letters"))!.snapshot()).removed)).toEqual([0]);
  });

  it("deletes what writers that crashed left behind, a day later", async () => {
    clock = new ReplayClock(micros(Date.now() * 1000));
    table = await open().table("others", LETTERS);
    await append(0);
    await writeLetters(engine, table, 1, 1);
    const log = join(table.folder, "_delta_log");
    await writeFile(join(log, ".cut-short.tmp"), "{");
    const names = async (): Promise<number> => (await readdir(table.folder)).length + (await readdir(log)).length;
    const before = await names();
    expect(await clean(0)).toMatchObject({ files: [], logFiles: 0 });
    // A file that is about to be committed is as young as that.
    expect(await names()).toBe(before);
    clock.advanceTo(micros(clock.now() + 25 * HOUR_MS * 1000));
    expect((await clean(0)).files).toHaveLength(1);
    expect(await names()).toBe(before - 2);
    expect(await numbersIn((await table.snapshot()).files)).toEqual([0]);
  });
});

describe("where a clock is wrong by a year", () => {
  const skewed = async (days: number): Promise<OfflineTable> => {
    const wrong = { now: () => micros(clock.now() + days * DAY_MS * 1000) };
    return (await openOfflineStore(folder, engine, { clock: wrong, storage: datedStorage(clock) }).find("letters"))!;
  };
  const parquetFiles = async (): Promise<number> =>
    (await readdir(table.folder)).filter((name) => name.endsWith(".parquet")).length;

  it("that of who vacuums, nothing goes that the storage knows to be younger than asked", async () => {
    for (let n = 0; n < 12; n++) await append(n);
    await joinFiles();
    const log = join(table.folder, "_delta_log");
    const underWay = [join(table.folder, (await writeLetters(engine, table, 99, 1)).path), join(log, ".under-way.tmp")];
    await writeFile(underWay[1]!, "{");
    for (const path of underWay) await utimes(path, clock.now() / 1e6, clock.now() / 1e6);
    const before = (await readdir(log)).toSorted();
    for (const days of [365, -365]) {
      const cleaner = await skewed(days);
      const asked = { keptMillis: 2 * HOUR_MS, logKeptMillis: 2 * HOUR_MS, isUnneeded: () => true };
      expect(await cleaner.cleanUp(asked)).toEqual({ files: [], bytes: 0, logFiles: 0 });
      expect(await cleaner.vacuum(2 * HOUR_MS, () => true)).toBe(0);
    }
    expect((await readdir(log)).toSorted()).toEqual(before);
    expect(await parquetFiles()).toBe(14);
    // It goes once it is old by both.
    clock.advanceTo(micros(clock.now() + 3 * HOUR_MS * 1000));
    expect(
      (await (await skewed(365)).cleanUp({ keptMillis: 2 * HOUR_MS, logKeptMillis: DAY_MS, isUnneeded: () => true }))
        .files,
    ).toHaveLength(12);
  });

  it("that of who took files out of the table, they stay for as long as asked", async () => {
    for (let n = 0; n < 12; n++) await append(n);
    const past = await skewed(-365);
    const remove = (await past.snapshot()).files.slice(0, 3).map(({ path }) => path.slice(table.folder.length + 1));
    await past.commit({ add: [], remove, operation: "DELETE" });
    // To one who opens the table from a checkpoint, and to one who has seen the commit.
    for (let n = 12; n < 21; n++)
      await table.commit({ add: [await writeLetters(engine, table, n, 1)], operation: "APPEND" });
    for (const cleaner of [table, (await open().find("letters"))!, past]) {
      expect(
        (await cleaner.cleanUp({ keptMillis: 2 * HOUR_MS, logKeptMillis: DAY_MS, isUnneeded: () => true })).files,
      ).toEqual([]);
      expect(await cleaner.vacuum(2 * HOUR_MS, () => true)).toBe(0);
    }
    clock.advanceTo(micros(clock.now() + 3 * HOUR_MS * 1000));
    expect(await table.vacuum(2 * HOUR_MS, ({ tags }) => tags["from"] === "0")).toBe(1);
    expect((await clean(2 * HOUR_MS)).files).toHaveLength(2);
  });

  it("that of who took out what is erased, it goes all the same", async () => {
    for (let n = 0; n < 3; n++) await append(n);
    const ahead = await skewed(365);
    const remove = (await ahead.snapshot()).files.slice(0, 2).map(({ path }) => path.slice(table.folder.length + 1));
    await ahead.commit({ add: [], remove, operation: "FORGET" });
    await table.erase(() => true);
    expect(await parquetFiles()).toBe(1);
  });
});

describe("a table's log", () => {
  it("loses what is older than asked, up to a checkpoint; older versions are gone, and work goes on", async () => {
    for (let n = 0; n < 25; n++) await append(n);
    const idle = (await open().find("letters"))!;
    for (let n = 25; n < 35; n++) await append(n);
    clock.advanceTo(micros(clock.now() + 15 * HOUR_MS * 1000));
    // The commit of the checkpoint at 30 is twenty hours old, that at 20 thirty; and a day all entries stay.
    expect((await clean(DAY_MS, { logKeptMillis: 10 * HOUR_MS })).logFiles).toBe(20 + 1);
    const names = (await readdir(join(table.folder, "_delta_log"))).toSorted();
    expect(names[0]).toBe(`${"20".padStart(20, "0")}.checkpoint.parquet`);
    const reopened = (await open().find("letters"))!;
    expect((await reopened.snapshot()).files).toHaveLength(35);
    expect((await reopened.snapshot(22)).files).toHaveLength(22);
    expect(await codeOf(reopened.snapshot(19))).toBe("TABLE_VERSION_GONE");
    expect(await codeOf(reopened.snapshot({ committedBy: micros(start + 3 * HOUR_MS * 1000) }))).toBe(
      "TABLE_VERSION_GONE",
    );
    expect((await reopened.history(100)).at(-1)).toMatchObject({ version: 20 });
    // One who stood where the log was cleaned away does not take that for its end.
    clock.advanceTo(micros(clock.now() + DAY_MS * 1000));
    await clean(DAY_MS, { logKeptMillis: 0 });
    expect((await readdir(join(table.folder, "_delta_log"))).toSorted()[0]).toBe(
      `${"30".padStart(20, "0")}.checkpoint.parquet`,
    );
    expect(await codeOf(idle.snapshot(25))).toBe("no error");
    expect(await idle.commit({ add: [await writeLetters(engine, idle, 35, 1)], operation: "APPEND" })).toBe(36);
    expect((await table.snapshot()).files).toHaveLength(36);
  });

  it("names the tables that there are", async () => {
    const store = open();
    await store.table("events/b", LETTERS);
    await store.table("features/a@1", LETTERS);
    expect(await store.names()).toEqual(["events/b", "features/a@1"]);
  });
});
