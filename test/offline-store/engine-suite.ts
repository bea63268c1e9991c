/**
 * What any engine must do, in this process or in one of its own.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  sqlText,
  type EngineSettings,
  type FillBatch,
  type QueryEngine,
  type TableColumn,
} from "../../src/offline-store/engine.ts";
import type { Value } from "../../src/schema/value.ts";
import { codeOf } from "../code-of.ts";

export function engineSuite(open: (settings: EngineSettings) => Promise<QueryEngine>): void {
  let engine: QueryEngine;
  let folder: string;

  beforeAll(async () => {
    engine = await open({ threads: 2 });
    folder = await mkdtemp(join(tmpdir(), "onefold-duckdb-"));
  });
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  describe("streaming results", () => {
    it("hands over numbers, integers, texts and nulls, in order, across chunks", async () => {
      const sql = `SELECT (i * 0.5)::DOUBLE, i::INTEGER, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('ä', (i % 20)::INTEGER) END
      FROM range(5000) t(i)`;
      let row = 0;
      for await (const batch of engine.stream(sql, [{ as: "number" }, { as: "int32" }, { as: "text" }])) {
        const [doubles, ints, texts] = batch.columns;
        expect(doubles).toBeInstanceOf(Float64Array);
        expect(ints).toBeInstanceOf(Int32Array);
        expect(batch.validity[0]).toBeNull();
        for (let i = 0; i < batch.rowCount; i++, row++) {
          expect(doubles![i]).toBe(row * 0.5);
          expect(ints![i]).toBe(row);
          expect(texts![i]).toBe(row % 3 === 0 ? null : "ä".repeat(row % 20));
          expect(batch.validity[2]![i]).toBe(row % 3 === 0 ? 0 : 1);
        }
      }
      expect(row).toBe(5000);
    });

    it("keeps several streams and statements apart", async () => {
      await engine.run("CREATE OR REPLACE TABLE numbers AS SELECT i::DOUBLE AS i FROM range(10000) t(i)");
      const first = engine.stream("SELECT i FROM numbers ORDER BY i", [{ as: "number" }]);
      const opening = await first.next();
      expect(await engine.rows("SELECT count(*) AS n FROM numbers")).toEqual([{ n: 10000 }]);
      let rows = (opening.value as { rowCount: number }).rowCount;
      for await (const batch of engine.stream("SELECT i FROM numbers", [{ as: "number" }])) rows += batch.rowCount;
      for await (const batch of first) rows += batch.rowCount;
      expect(rows).toBe(20000);
    });

    it("refuses a column of another type than was named", async () => {
      const read = async (): Promise<void> => {
        for await (const batch of engine.stream("SELECT 1::BIGINT", [{ as: "number" }])) expect(batch).toBeNull();
      };
      expect(await codeOf(read())).toBe("INTERNAL");
    });

    it("stops early without disturbing later work", async () => {
      for await (const batch of engine.stream("SELECT i::DOUBLE FROM range(50000000) t(i)", [{ as: "number" }])) {
        expect(batch.rowCount).toBeGreaterThan(0);
        break;
      }
      expect(await engine.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    });

    it("is cancelled by interrupt in the middle of a stream, and never ends as if it were whole", async () => {
      for (const order of ["", " ORDER BY hash(i)"]) {
        const sql = `SELECT i::DOUBLE FROM range(3000000) t(i)${order}`;
        let rows = 0;
        const read = async (): Promise<void> => {
          for await (const batch of engine.stream(sql, [{ as: "number" }])) {
            if (rows === 0) engine.interrupt();
            rows += batch.rowCount;
          }
        };
        // An engine in another process may have all of it on its way by then.
        const code = await codeOf(read());
        if (code !== "CANCELLED") expect([order, code, rows]).toEqual([order, "no error", 3_000_000]);
      }
      expect(await engine.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    });

    it("that fails in the middle of a stream is an error, and never ends as if it were whole", async () => {
      const failing = "SELECT (CASE WHEN i = 2000000 THEN error('late') ELSE i END)::DOUBLE FROM range(3000000) t(i)";
      const read = async (sql: string): Promise<number> => {
        let rows = 0;
        for await (const batch of engine.stream(sql, [{ as: "number" }])) rows += batch.rowCount;
        return rows;
      };
      expect(await codeOf(read(failing))).toMatch(/^(STORAGE_FAILED|INTERNAL)$/);
      expect(await read("SELECT i::DOUBLE FROM range(2048) t(i)")).toBe(2048);
      expect(await read("SELECT i::DOUBLE FROM range(2047) t(i) ORDER BY i DESC")).toBe(2047);
      expect(await read("SELECT NULL::DOUBLE FROM range(0)")).toBe(0);
    });

    it("ends behind its last row, in whatever order and by however many threads the rows are made", async () => {
      const many = await open({ threads: 4, memoryBytes: 256 * 1024 * 1024 });
      try {
        await many.run("CREATE TABLE numbers AS SELECT i, (hash(i) % 120000)::DOUBLE AS k FROM range(240000) t(i)");
        await many.run("CREATE TABLE others AS SELECT (i * 3)::DOUBLE AS k FROM range(120000) t(i)");
        const plans = [
          "SELECT k FROM numbers GROUP BY k",
          "SELECT DISTINCT k FROM numbers",
          "SELECT k FROM numbers GROUP BY k HAVING count(*) > 1 ORDER BY k",
          "SELECT k FROM numbers UNION SELECT k FROM others",
          "SELECT k FROM (SELECT k FROM numbers GROUP BY k) UNION ALL SELECT k FROM others",
          "SELECT coalesce(o.k, n.k) FROM others o FULL JOIN numbers n ON n.k = o.k",
          "SELECT n.k FROM others o RIGHT JOIN numbers n ON n.k = o.k",
          "SELECT k FROM numbers WHERE k IN (SELECT k FROM others GROUP BY k)",
          "SELECT sum(k) OVER (PARTITION BY k) FROM numbers",
        ];
        for (const keepsOrder of [true, false]) {
          await many.run(`SET GLOBAL preserve_insertion_order = ${keepsOrder}`);
          for (const plan of plans) {
            const [{ n, s } = {}] = await many.rows(`SELECT count(*)::DOUBLE AS n, sum(x) AS s FROM (${plan}) p(x)`);
            let [rows, sum] = [0, 0];
            for await (const batch of many.stream(plan, [{ as: "number" }])) {
              expect(batch.validity[0]).toBeNull();
              rows += batch.rowCount;
              for (const x of batch.columns[0] as Float64Array) sum += x;
            }
            expect([plan, rows, sum]).toEqual([plan, n, s]);
          }
        }
      } finally {
        await many.close();
      }
    });

    it("is cancelled by interrupt", async () => {
      const work = engine.run(
        "CREATE OR REPLACE TABLE never AS SELECT sum(a.i * b.i) FROM range(1000000) a(i), range(1000000) b(i)",
      );
      setTimeout(() => engine.interrupt(), 100);
      expect(await codeOf(work)).toBe("CANCELLED");
    });
  });

  describe("filling tables", () => {
    const columns: TableColumn[] = [
      { name: "n", type: { name: "int64" } },
      { name: "w", type: { name: "int64", wide: true } },
      { name: "x", type: { name: "float64" } },
      { name: "s", type: { name: "string" } },
      { name: "b", type: { name: "bytes" } },
      { name: "f", type: { name: "bool" } },
      { name: "t", type: { name: "timestamp" } },
      { name: "a", type: { name: "array", element: { name: "array", element: { name: "timestamp" } } } },
    ];
    const numberLike = [true, false, true, false, false, true, true, false];
    const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
    const time = fc.integer({ min: -8e15, max: 8e15 });
    const row = fc.tuple(
      orNull(fc.maxSafeInteger()),
      orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
      orNull(fc.double()),
      orNull(fc.string({ unit: "grapheme" })),
      orNull(fc.uint8Array({ maxLength: 40 })),
      orNull(fc.boolean()),
      orNull(time),
      orNull(fc.array(orNull(fc.array(orNull(time), { maxLength: 3 })), { maxLength: 3 })),
    );

    it("returns every value of every type as it went in", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { minLength: 1, maxLength: 40 }),
          fc.constantFrom(1, 120),
          fc.boolean(),
          async (some, times, inTurns) => {
            const rows: (readonly Value[])[] = Array.from({ length: times }, () => some as unknown as Value[][]).flat();
            const batch: FillBatch = {
              rowCount: rows.length,
              columns: columns.map((_, c) =>
                numberLike[c] ? Float64Array.from(rows, (r) => Number(r[c])) : rows.map((r) => r[c]!),
              ),
              validity: columns.map((_, c) => Uint8Array.from(rows, (r) => (r[c] === null ? 0 : 1))),
            };
            await engine.fill("filled", columns, [batch], { inTurns });
            const back: Value[][] = [];
            const wanted = columns.map((column) => ({ as: "value" as const, type: column.type }));
            for await (const read of engine.stream("SELECT * FROM filled", wanted)) {
              for (let i = 0; i < read.rowCount; i++) back.push(read.columns.map((column) => (column as Value[])[i]!));
            }
            expect(back).toEqual(rows);
          },
        ),
        { numRuns: 40 },
      );
    });

    it("leaves turns to others where it is asked to, and nothing open where the rows end early", async () => {
      const column = { name: "n", type: { name: "int64" } } as const;
      // Arrays that are used again, as they may be.
      const numbers = new Float64Array(500);
      function* batches(count: number, failAt = Number.POSITIVE_INFINITY): IterableIterator<FillBatch> {
        for (let i = 0; i < count; i++) {
          if (i === failAt) throw new Error("no more");
          for (let row = 0; row < 500; row++) numbers[row] = i * 500 + row;
          yield { rowCount: 500, columns: [numbers], validity: [null] };
        }
      }
      let turns = 0;
      const counting = setInterval(() => turns++, 0);
      try {
        await expect(engine.fill("filled", [column], batches(20, 13), { inTurns: true })).rejects.toThrow("no more");
        turns = 0;
        await engine.fill("filled", [column], batches(400), { inTurns: true });
        expect(turns).toBeGreaterThan(10);
      } finally {
        clearInterval(counting);
      }
      const [found] = await engine.rows("SELECT count(*) AS n, sum(n)::DOUBLE AS total, max(n) AS last FROM filled");
      expect(found).toEqual({ n: 200_000, total: (199_999 * 200_000) / 2, last: 199_999 });
    });
  });

  describe("errors", () => {
    it("names unreadable files FILE_UNREADABLE and mistakes in SQL INTERNAL", async () => {
      const broken = join(folder, "broken.parquet");
      await writeFile(broken, "PAR1 this is not a Parquet file");
      expect(await codeOf(engine.rows(`SELECT * FROM read_parquet(${sqlText(broken)})`))).toBe("FILE_UNREADABLE");
      const absent = join(folder, "absent.csv");
      expect(await codeOf(engine.rows(`SELECT * FROM read_csv(${sqlText(absent)})`))).toBe("FILE_UNREADABLE");
      expect(await codeOf(engine.rows("SELECT nothing FROM nowhere"))).toBe("INTERNAL");
    });

    it("names a damaged Parquet file FILE_UNREADABLE, whatever of it is damaged", async () => {
      const [whole, damaged] = [join(folder, "whole.parquet"), join(folder, "damaged.parquet")];
      await engine.run(
        `COPY (SELECT i, 'text ' || i % 5 AS s, i / 7.0::DOUBLE AS x FROM range(100) t(i)) TO ${sqlText(whole)} (FORMAT parquet)`,
      );
      const bytes = await readFile(whole);
      const codes = new Set<string>();
      for (let at = 0; at < bytes.length; at += 7) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 0xff;
        await writeFile(damaged, changed);
        codes.add(
          await codeOf(engine.run(`CREATE OR REPLACE TABLE read AS SELECT * FROM read_parquet(${sqlText(damaged)})`)),
        );
      }
      codes.delete("no error");
      expect([...codes]).toEqual(["FILE_UNREADABLE"]);
    });

    it("takes any text in a statement", async () => {
      for (const text of ["", "a'b", "a\0b", "\0", "\0\0'\0", "'\0", "ü\0\n"]) {
        const literal = sqlText(text);
        expect(await engine.rows(`SELECT ${literal} AS one, ${literal} IN (${literal}) AS same`), text).toEqual([
          { one: text, same: true },
        ]);
      }
    });

    it("reads times without a zone as UTC", async () => {
      const rows = await engine.rows(
        "SELECT TIMESTAMP '2001-01-01 00:00:00'::TIMESTAMPTZ AS t, DATE '1970-01-02' AS d",
      );
      expect(rows).toEqual([{ t: 978_307_200_000_000, d: 86_400_000_000 }]);
    });
  });

  describe("little memory", () => {
    const sort = `CREATE TABLE sorted AS SELECT hash(i) AS h, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS x
    FROM range(400000) t(i) ORDER BY h`;

    it("is made up for by the folder for spilled data, which is gone afterwards", async () => {
      const spillFolder = await mkdtemp(join(folder, "spill-"));
      const small = await open({ threads: 1, memoryBytes: 24_000_000, spillFolder });
      await small.run(sort);
      expect(await small.rows("SELECT count(*) AS n FROM sorted")).toEqual([{ n: 400_000 }]);
      expect(await readdir(spillFolder)).toHaveLength(1);
      await small.close();
      expect(await readdir(spillFolder)).toEqual([]);
    });

    it("is a clear error where that is full, too", async () => {
      const full = await open({
        threads: 1,
        memoryBytes: 24_000_000,
        spillFolder: folder,
        spillBytesMax: 1_000_000,
      });
      expect(await codeOf(full.run(sort))).toBe("SPILL_FULL");
      // It goes on with what does fit.
      expect(await full.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
      await full.close();
    });
  });
}
