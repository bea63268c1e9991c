/** What an Arrow reader finds in the stream is what the engine finds in the Parquet file, type by type. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Table, tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import { writeArrowStream } from "../../src/offline-store/arrow-stream.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../src/offline-store/engine.ts";

let engine: QueryEngine;
let folder: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  folder = await mkdtemp(join(tmpdir(), "onefold-arrow-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function streamOf(sql: string): Promise<Table> {
  const [parquet, out] = [join(folder, "set.parquet"), join(folder, "set.arrows")];
  await engine.run(`COPY (${sql}) TO ${sqlText(parquet)} (FORMAT parquet)`);
  const rows = await writeArrowStream(engine, parquet, out);
  const table = tableFromIPC(await readFile(out));
  expect(table.numRows).toBe(rows);
  return table;
}

/** Each column's type, and its first values. */
function shown(table: Table): Record<string, unknown[]> {
  return Object.fromEntries(
    table.schema.fields.map(({ name, type }) => {
      const column = table.getChild(name)!;
      return [name, [String(type), ...Array.from(column, plain)]];
    }),
  );
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "object" && value !== null && Symbol.iterator in value) {
    return Array.from(value as Iterable<unknown>, plain);
  }
  return value;
}

describe("an Arrow stream", () => {
  it("keeps every type, its nulls and its extremes", async () => {
    const table = await streamOf(`
      SELECT * FROM (VALUES
        (1::TINYINT, -2::SMALLINT, 3::INTEGER, 9007199254740993::BIGINT, 200::UTINYINT, 60000::USMALLINT, 4000000000::UINTEGER,
         18446744073709551615::UBIGINT, 1.5::FLOAT, 'nan'::DOUBLE, true, 'ä', '\\x00\\xFF'::BLOB, DATE '1969-12-31',
         TIMESTAMPTZ '2026-03-01 12:00:00.000001+00', TIMESTAMP '1969-12-31 23:59:59.999999'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (0, 0, 0, -9223372036854775808, 0, 0, 0, 0, 0, -0.5, false, '', '', DATE '1970-01-02', TIMESTAMPTZ '1970-01-01 00:00:00+00', NULL))
      t(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, b, s, bin, d, tz, ts)`);
    expect(shown(table)).toEqual({
      i8: ["Int8", 1, null, 0],
      i16: ["Int16", -2, null, 0],
      i32: ["Int32", 3, null, 0],
      i64: ["Int64", 9007199254740993n, null, -9223372036854775808n],
      u8: ["Uint8", 200, null, 0],
      u16: ["Uint16", 60000, null, 0],
      u32: ["Uint32", 4000000000, null, 0],
      u64: ["Uint64", 18446744073709551615n, null, 0n],
      f32: ["Float32", 1.5, null, 0],
      f64: ["Float64", Number.NaN, null, -0.5],
      b: ["Bool", true, null, false],
      s: ["Utf8", "ä", null, ""],
      bin: ["Binary", "00ff", null, ""],
      d: ["Date32<DAY>", expect.anything(), null, expect.anything()],
      // Read back by the library as milliseconds; the very values stand below.
      tz: ["Timestamp<MICROSECOND, UTC>", expect.anything(), null, 0],
      ts: ["Timestamp<MICROSECOND>", expect.anything(), null, null],
    });
    const cells = (name: string): unknown[] => Array.from(table.getChild(name)!.data[0]!.values as Int32Array);
    expect([cells("d")[0], cells("d")[2]]).toEqual([-1, 1]);
    expect([cells("tz")[0], cells("tz")[2]]).toEqual([1_772_366_400_000_001n, 0n]);
    expect(cells("ts")[0]).toBe(-1n);
  });

  it("keeps lists: empty ones, null ones, nulls in them, lists of lists", async () => {
    const table = await streamOf(
      `
      SELECT * FROM (VALUES
        ([1.5, NULL], ['a', 'b'], [9007199254740993, NULL], [[1], [], NULL]::INTEGER[][], [true]),
        (NULL, [], NULL, [], NULL),
        ([], NULL, [-1], NULL, [false, NULL]))
      t(f, s, i, n, b)`.replace("[1.5, NULL]", "[1.5, NULL]::DOUBLE[]"),
    );
    expect(shown(table)).toEqual({
      f: ["List<Float64>", [1.5, null], null, []],
      s: ["List<Utf8>", ["a", "b"], [], null],
      i: ["List<Int64>", [9007199254740993n, null], null, [-1n]],
      n: ["List<List<Int32>>", [[1], [], null], [], null],
      b: ["List<Bool>", [true], null, [false, null]],
    });
  });

  it("keeps the order of many rows, and has a schema where there are none", async () => {
    const many = await streamOf(
      "SELECT i, (i % 7 = 0)::BOOLEAN AS b, CASE WHEN i % 3 > 0 THEN i::VARCHAR END AS s FROM range(10000) t(i)",
    );
    const numbers = Array.from({ length: 10_000 }, (_, i) => i);
    expect(Array.from(many.getChild("i")!)).toEqual(numbers.map(BigInt));
    expect(Array.from(many.getChild("b")!)).toEqual(numbers.map((i) => i % 7 === 0));
    expect(Array.from(many.getChild("s")!)).toEqual(numbers.map((i) => (i % 3 > 0 ? String(i) : null)));
    const none = await streamOf("SELECT i, [i] AS l, i::VARCHAR AS s FROM range(0) t(i)");
    expect(none.numRows).toBe(0);
    expect(none.schema.fields.map(({ type }) => String(type))).toEqual(["Int64", "List<Int64>", "Utf8"]);
  });

  it("refuses a column whose type it does not write, naming it", async () => {
    const failed = await streamOf("SELECT 1 AS a, {'x': 1} AS s").catch((error: unknown) => error);
    expect(isOnefoldError(failed) && [failed.code, failed.where]).toEqual(["TYPE_MISMATCH", "s"]);
  });
});
