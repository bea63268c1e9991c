import { access, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable, TableFile } from "../../src/offline-store/offline-store.ts";
import { fileRelation, filesWith, rewriteFiles, type RewriteRequest } from "../../src/offline-store/table-rewrite.ts";
import { diskTableStorage, type TableStorage } from "../../src/offline-store/table-storage.ts";
import { codeOf } from "../code-of.ts";
import { LETTERS, writeLetters } from "./offline-table-conformance.ts";

let engine: QueryEngine;
let root: string;
let table: OfflineTable;
let other: OfflineTable;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-rewrite-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(async () => {
  const folder = await mkdtemp(join(root, "tables-"));
  table = await openOfflineStore(folder, engine).table("letters", LETTERS);
  other = await openOfflineStore(folder, engine).table("letters", LETTERS);
  for (let i = 0; i < 4; i++) await append(table, i * 10, 10);
});

async function append(to: OfflineTable, from: number, count: number): Promise<void> {
  await to.commit({ add: [await writeLetters(engine, to, from, count)], operation: "APPEND" });
}

async function numbersIn(files: readonly TableFile[]): Promise<unknown[]> {
  const paths = files.map(({ path }) => sqlText(path)).join(", ");
  return (await engine.rows(`SELECT n FROM read_parquet([${paths}]) ORDER BY n`)).map(({ n }) => n);
}

/** Takes the row with this number out, wherever it is. */
const without = (n: number, more: Partial<RewriteRequest> = {}): RewriteRequest => ({
  operation: "FORGET",
  plan: async ({ files, removed }) =>
    (await filesWith(engine, [...files, ...removed], `n = ${n}`)).map((file) => ({
      files: [file],
      select: `SELECT * FROM ${fileRelation(file)} WHERE n <> ${n}`,
    })),
  ...more,
});

const upTo = (count: number, ...missing: number[]): number[] =>
  Array.from({ length: count }, (_, n) => n).filter((n) => !missing.includes(n));

describe("files written anew", () => {
  it("have the rows that were asked for, the tags they had, and leave the others alone", async () => {
    const before = (await table.snapshot()).files;
    const report = await rewriteFiles(table, engine, without(13));
    expect(report).toMatchObject({ version: 5, replaced: [before[1]], rowsWritten: 9 });
    const after = (await other.snapshot()).files;
    expect(await numbersIn(after)).toEqual(upTo(40, 13));
    expect(after.filter(({ path }) => before.every((each) => each.path !== path))).toMatchObject([
      { rows: 9, tags: { from: "10" }, stats: { minValues: { n: 10 }, maxValues: { n: 19 } } },
    ]);
    expect(await numbersIn((await table.snapshot(4)).files)).toEqual(upTo(40));
    expect(await rewriteFiles(other, engine, without(99))).toMatchObject({ version: 5, replaced: [], rowsWritten: 0 });
  });

  it("go on standing for a file that left the table", async () => {
    const [first] = (await table.snapshot()).files;
    await table.commit({ add: [], remove: [first!.path.slice(table.folder.length + 1)], operation: "OPEN EPOCH" });
    await rewriteFiles(table, engine, without(3));
    for (const reader of [table, other]) {
      const { files, removed } = await reader.snapshot();
      expect(await numbersIn(files)).toEqual(upTo(40).slice(10));
      expect(removed).toMatchObject([{ tags: { from: "0" } }]);
      expect(await numbersIn(removed)).toEqual(upTo(10, 3));
    }
    // The old file goes with the next vacuum, the new one only where it is let go.
    expect(await table.vacuum(-60_000, ({ tags }) => tags["replacedBy"] !== undefined)).toBe(1);
    await expect(access(first!.path)).rejects.toThrow();
    expect(await numbersIn((await table.snapshot()).removed)).toEqual(upTo(10, 3));
  });

  it("are planned anew where another commit took one of them away", async () => {
    let compacted = false;
    const report = await rewriteFiles(table, engine, {
      ...without(13),
      plan: async (snapshot) => {
        const planned = await without(13).plan(snapshot);
        if (!compacted) {
          compacted = true;
          const files = (await other.snapshot()).files;
          const paths = files.map(({ path }) => path.slice(other.folder.length + 1));
          await other.commit({
            add: [],
            replace: [{ paths, by: await writeLetters(engine, other, 0, 40) }],
            operation: "COMPACT",
            dataChange: false,
          });
        }
        return planned;
      },
    });
    expect(report).toMatchObject({ version: 6, rowsWritten: 39 });
    const { files, removed } = await table.snapshot();
    expect(await numbersIn(files)).toEqual(upTo(40, 13));
    // What was replaced stands for nothing any more.
    expect(removed).toEqual([]);
    // What was written in vain is gone; the four files and the one they were joined in are there until vacuum.
    const there = (await readdir(table.folder)).filter((name) => name.endsWith(".parquet"));
    expect(there).toHaveLength(4 + 1 + files.length);
  });

  it("are planned anew where the plan hung on there being no file that was added meanwhile", async () => {
    for (const hangsOn of [undefined, ({ tags }: TableFile) => tags["from"] === "13"]) {
      let appended = false;
      const request: RewriteRequest = {
        ...without(13, hangsOn === undefined ? {} : { hangsOn }),
        plan: async (snapshot) => {
          const planned = await without(13).plan(snapshot);
          if (!appended) await append(other, 13, 1);
          appended = true;
          return planned;
        },
      };
      await rewriteFiles(table, engine, request);
      // Without it the row that was appended meanwhile stays.
      expect(await numbersIn((await other.snapshot()).files)).toEqual(hangsOn === undefined ? upTo(40) : upTo(40, 13));
    }
  });

  it("are kept where the commit came about though it was answered with an error", async () => {
    let isBroken = false;
    const storage: TableStorage = {
      ...diskTableStorage,
      async putIfAbsent(path, text) {
        await diskTableStorage.putIfAbsent(path, text);
        if (isBroken) throw new Error("the answer was lost");
        return true;
      },
    };
    const flaky = (await openOfflineStore(dirname(table.folder), engine, { storage }).find("letters"))!;
    isBroken = true;
    await expect(rewriteFiles(flaky, engine, without(13))).rejects.toThrow("the answer was lost");
    for (const reader of [flaky, table]) {
      expect(await numbersIn((await reader.snapshot()).files)).toEqual(upTo(40, 13));
    }
  });

  it("sees what was added after the version it was decided by, though it has read the log further since", async () => {
    const { version } = await table.snapshot();
    await append(table, 50, 1);
    const commit = (hangsOn: () => boolean): Promise<number> =>
      table.commit({ add: [], operation: "NOTHING", decidedBy: { version, hangsOn } });
    expect(await codeOf(commit(() => true))).toBe("TABLE_CONFLICT");
    expect(await commit(() => false)).toBe(6);
  });
});
