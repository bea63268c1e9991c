/**
 * What every `OfflineTable` must do, whatever it stands on.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { NewFile, OfflineStore, OfflineTable, TableSchema } from "../../src/offline-store/offline-store.ts";
import { writeParquetFile } from "../../src/offline-store/parquet-file.ts";
import { codeOf } from "../code-of.ts";

export const LETTERS: TableSchema = {
  columns: [
    { name: "n", type: { name: "int64" }, nullable: true },
    { name: "letter", type: { name: "string" }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: true },
    { name: "parts", type: { name: "array", element: { name: "float64" } }, nullable: true },
  ],
};

let serial = 0;

/** Writes a file of `count` rows n = from.., not yet part of the table. */
export async function writeLetters(
  engine: QueryEngine,
  table: OfflineTable,
  from: number,
  count: number,
): Promise<NewFile> {
  const select = `SELECT i::BIGINT AS n, chr((97 + i % 26)::INTEGER) AS letter, make_timestamptz(i * 1000001) AS at, [i, NULL]::DOUBLE[] AS parts
    FROM range(${from}, ${from + count}) t(i)`;
  const name = `part-${++serial}.parquet`;
  return writeParquetFile(engine, {
    select,
    folder: table.folder,
    name,
    columns: LETTERS.columns,
    tags: { from: String(from) },
  });
}

export function offlineTableConformance(
  name: string,
  open: () => Promise<{ readonly store: () => OfflineStore; readonly engine: QueryEngine }>,
): void {
  describe(`${name} as an offline table`, () => {
    let store: () => OfflineStore;
    let engine: QueryEngine;
    let table: OfflineTable;

    beforeEach(async () => {
      ({ store, engine } = await open());
      table = await store().table("letters", LETTERS);
    });

    const append = async (from: number, count: number, version?: number): Promise<number> =>
      table.commit({
        add: [await writeLetters(engine, table, from, count)],
        operation: "APPEND",
        ...(version === undefined ? {} : { txn: [{ applicationId: "app", version }] }),
      });

    it("is empty when created, and found by its name afterwards", async () => {
      expect((await table.snapshot()).files).toEqual([]);
      expect((await table.snapshot()).schema).toEqual(LETTERS);
      expect(await store().find("other")).toBeNull();
      const found = await store().find("letters");
      expect((await found!.snapshot()).version).toBe(0);
    });

    it("shows commits at once, to itself and to others, and keeps earlier versions", async () => {
      const other = await store().table("letters", LETTERS);
      const first = await append(0, 10);
      const file = (await table.snapshot()).files[0]!;
      const second = await table.commit({
        add: [await writeLetters(engine, table, 10, 5)],
        remove: [file.path.slice(table.folder.length + 1)],
        operation: "REPLACE",
      });
      expect([first, second]).toEqual([1, 2]);
      for (const reader of [table, other, (await store().find("letters"))!]) {
        const now = await reader.snapshot();
        expect(now.files.map(({ rows, tags }) => [rows, tags])).toEqual([[5, { from: "10" }]]);
        expect(now.removed.map(({ path, tags }) => [path, tags])).toEqual([[file.path, { from: "0" }]]);
        expect((await reader.snapshot(1)).files).toEqual([file]);
      }
    });

    it("carries txn versions with the rows, across reopening and checkpoints", async () => {
      expect(await table.lastTxn("app")).toBeNull();
      for (let version = 0; version < 25; version++) await append(version * 2, 2, version * 10);
      for (const reader of [table, (await store().find("letters"))!]) {
        expect(await reader.lastTxn("app")).toBe(240);
        expect((await reader.snapshot()).files.reduce((sum, { rows }) => sum + rows, 0)).toBe(50);
        expect((await reader.snapshot(13)).files).toHaveLength(13);
        expect((await reader.snapshot()).schema).toEqual(LETTERS);
      }
    });

    it("lets two writers append, and gives one of two equal txns TABLE_CONFLICT", async () => {
      const other = await store().table("letters", LETTERS);
      await append(0, 1, 1);
      await other.commit({ add: [await writeLetters(engine, other, 1, 1)], operation: "APPEND" });
      const rival = await writeLetters(engine, other, 2, 1);
      await append(3, 1, 2);
      expect(
        await codeOf(other.commit({ add: [rival], txn: [{ applicationId: "app", version: 2 }], operation: "APPEND" })),
      ).toBe("TABLE_CONFLICT");
      expect(await codeOf(append(4, 1, 2))).toBe("TABLE_CONFLICT");
      const concurrent = await Promise.all(
        [table, other, table, other].map(async (writer, i) =>
          writer.commit({ add: [await writeLetters(engine, writer, 10 + i, 1)], operation: "APPEND" }),
        ),
      );
      expect(new Set(concurrent).size).toBe(4);
      expect((await table.snapshot()).files).toHaveLength(7);
    });

    it("refuses a txn that goes on from another version than the table holds", async () => {
      const other = await store().table("letters", LETTERS);
      const file = await writeLetters(engine, other, 9, 1);
      const from = (after: number | null, version: number): Promise<unknown> =>
        codeOf(other.commit({ add: [file], txn: [{ applicationId: "app", version, after }], operation: "APPEND" }));
      await append(0, 1, 5);
      // It has seen the other's commit, and would not meet it.
      expect(await other.lastTxn("app")).toBe(5);
      expect(await from(null, 7)).toBe("TABLE_CONFLICT");
      expect(await from(4, 7)).toBe("TABLE_CONFLICT");
      expect(
        await other.commit({ add: [file], txn: [{ applicationId: "app", version: 7, after: 5 }], operation: "A" }),
      ).toBe(2);
    });

    it("refuses to remove what another commit removed", async () => {
      await append(0, 1);
      const other = await store().table("letters", LETTERS);
      const path = (await table.snapshot()).files[0]!.path.slice(table.folder.length + 1);
      await other.commit({ add: [], remove: [path], operation: "DELETE" });
      expect(await codeOf(table.commit({ add: [], remove: [path], operation: "DELETE" }))).toBe("TABLE_CONFLICT");
    });

    it("tells which files no version names, and takes none of them that were taken away", async () => {
      await append(0, 2);
      const gone = (await table.snapshot()).files[0]!.path.slice(table.folder.length + 1);
      await table.commit({ add: [], remove: [gone], operation: "DELETE" });
      await append(2, 1);
      const [late, kept] = [await writeLetters(engine, table, 3, 1), await writeLetters(engine, table, 4, 1)];
      const other = await store().table("letters", LETTERS);
      expect((await other.unnamed()).toSorted()).toEqual([late.path, kept.path].toSorted());
      await other.discard([{ path: late.path }, { path: gone }]);
      expect(await other.unnamed()).toEqual([kept.path]);
      expect(await codeOf(table.commit({ add: [late], operation: "APPEND" }))).toBe("TABLE_CONFLICT");
      await table.commit({ add: [kept], operation: "APPEND" });
      expect(await other.unnamed()).toEqual([]);
      expect((await other.snapshot()).files).toHaveLength(2);
      expect(await engine.rows(`SELECT n FROM '${table.folder}/${gone}'`)).toHaveLength(2);
    });

    it("deletes files that left the table, when told which and since when", async () => {
      for (let i = 0; i < 4; i++) await append(i, 1);
      const paths = (await table.snapshot()).files.map(({ path }) => path);
      const remove = paths.slice(0, 3).map((path) => path.slice(table.folder.length + 1));
      await table.commit({ add: [], remove, operation: "DELETE", dataChange: false });
      expect(await table.vacuum(60_000, () => true)).toBe(0);
      expect(await table.vacuum(-60_000, ({ tags }) => tags["from"] !== "1")).toBe(2);
      const there = await Promise.all(
        paths.map((path) =>
          engine.rows(`SELECT n FROM '${path}'`).then(
            () => true,
            () => false,
          ),
        ),
      );
      expect(there).toEqual([false, true, false, true]);
      expect((await table.snapshot()).removed.map(({ path }) => path)).toEqual([paths[1]]);
    });

    it("says which columns are never null, until one may be", async () => {
      const columns = LETTERS.columns.map((column) => ({ ...column, nullable: column.name === "letter" }));
      const strict = await store().table("strict", { columns });
      expect((await strict.snapshot()).schema.columns).toEqual(columns);
      const looser = columns.map((column) => ({ ...column, nullable: column.name !== "n" }));
      const more = { name: "more", type: { name: "bool" }, nullable: false } as const;
      const evolved = await store().table("strict", { columns: [...looser, more] });
      // Older rows have nothing in a further column.
      const expected = [...looser, { ...more, nullable: true }];
      expect((await evolved.snapshot()).schema.columns).toEqual(expected);
      await store().table("strict", { columns: [...columns, more] });
      expect((await evolved.snapshot()).schema.columns).toEqual(expected);
      expect((await evolved.snapshot()).version).toBe(1);
    });

    it("takes further columns and refuses changed ones", async () => {
      await append(0, 3);
      const wider = [...LETTERS.columns, { name: "w", type: { name: "int64", wide: true }, nullable: true } as const];
      const widened = await store().table("letters", { columns: wider });
      expect((await widened.snapshot()).schema.columns).toEqual(wider);
      const changed = wider.map((column) =>
        column.name === "n" ? { ...column, type: { name: "string" } as const } : column,
      );
      expect(await codeOf(store().table("letters", { columns: changed }))).toBe("TABLE_INVALID");
      expect(await codeOf(store().table("letters", LETTERS))).toBe("TABLE_INVALID");
    });
  });
}
