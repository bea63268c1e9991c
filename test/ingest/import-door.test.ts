import { randomUUID } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { eventRelation } from "../../src/offline-store/event-relation.ts";
import type { StreamDefinition } from "../../src/define/definition.ts";
import { readRowFile } from "../../src/ingest/row-file.ts";
import {
  engine,
  root,
  source,
  newFolder,
  columns,
  openArchive,
  importFiles,
  write,
  historyOf,
  throughDoor,
  shown,
  expectLikeDoor,
} from "./import-world.ts";
import { caseCount } from "../case-count.ts";

const goodTime = fc.integer({ min: 9.4e14, max: 9.8e14 }).map((micros) => formatMicros(micros as Micros));
const oddTime = fc.constantFrom(
  "2001-01-01",
  "2001-01-01 12:30",
  "2001-01-01T24:00:00Z",
  "2001-02-30T00:00:00Z",
  "2001-01-01T00:00:00.1234567Z",
  "2001-01-01T12:00:00+02:00",
  "2001-01-01T00:00:60Z",
  "1500-01-01",
  "2300-01-01T00:00:00Z",
  "0001-01-01",
  "0099-12-31T00:00:00Z",
  "infinity",
  "now",
  "epoch",
  "2026-06-01T00:00:30Z",
  "2026-06-01T00:02:00Z",
  "",
  " 2001-01-01 ",
);
const key = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b|c", "ä\\", "日本", "'") },
  fc.constantFrom("", "bad", "x".repeat(1024), "ä".repeat(600), "\u0000", "a\nb", '"q",'),
);

describe("an import lets in exactly what the door lets in", () => {
  it("from NDJSON", async () => {
    const rare = <T>(good: fc.Arbitrary<T>, ...odd: unknown[]): fc.Arbitrary<unknown> =>
      fc.oneof(
        { weight: 6, arbitrary: good },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            null,
            undefined,
            "text",
            "12",
            7,
            -1.5,
            true,
            [],
            [1, null],
            {},
            { micros: 5 },
            { micros: 9e14 },
            ...odd,
          ),
        },
      );
    const row = fc.record({
      key: rare(key, "\ud83d\ude00"),
      number: rare(
        fc.integer({ min: -60, max: 1000 }),
        2 ** 53 + 2,
        -46,
        4503599627370496,
        1e21,
        1.0,
        -0,
        2.5,
        "9007199254740993",
        "-0",
      ),
      wide: rare(fc.maxSafeInteger(), "9223372036854775807", "9223372036854775808", 9007199254740992, "007"),
      amount: rare(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        "NaN",
        "Infinity",
        -0,
        5e-324,
        1.7976931348623157e308,
        123456789012345680000,
      ),
      flag: rare(fc.boolean(), "true", 0),
      data: rare(fc.base64String({ maxLength: 12 }), "_-8=", "!!"),
      list: rare(
        fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })), { maxLength: 3 }),
        ["x"],
        [[1]],
      ),
      at: fc.oneof(
        { weight: 8, arbitrary: goodTime },
        { weight: 2, arbitrary: oddTime },
        {
          weight: 1,
          arbitrary: fc.constantFrom(null, undefined, 5, { micros: 978307200000000 }, { millis: 978307200000.5 }),
        },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 120 }), async (rows) => {
        newFolder();
        const lines = rows
          .map((one) => JSON.stringify(one))
          .map((line) => line.replaceAll(":0,", () => (line.length % 3 === 0 ? ":-0.0," : ":0,")));
        const path = await write("ndjson", lines.join("\n"));
        await expectLikeDoor(
          path,
          lines.map((line) => JSON.parse(line) as unknown),
        );
      }),
      { numRuns: caseCount(75) },
    );
  });

  it("from CSV", async () => {
    const mostly = (good: fc.Arbitrary<string>, ...odd: string[]): fc.Arbitrary<string> =>
      fc.oneof(
        { weight: 8, arbitrary: good },
        {
          weight: 2,
          arbitrary: fc.constantFrom(
            "",
            "x",
            "0",
            "-0",
            "1.0",
            "true",
            "NaN",
            "inf",
            "1_000",
            " 1",
            "+1",
            "0x10",
            "1e3",
            ...odd,
          ),
        },
      );
    const cells = fc.tuple(
      mostly(key),
      mostly(fc.integer({ min: -60, max: 1000 }).map(String), "9007199254740993", "007", "-46"),
      mostly(fc.maxSafeInteger().map(String), "9223372036854775807", "9223372036854775808"),
      mostly(
        fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
        "1.",
        ".5",
        "1e400",
        "-0.0",
        "0.1000000000000000055511151231257827021181583404541015625",
      ),
      mostly(fc.constantFrom("true", "false"), "TRUE", "t"),
      mostly(fc.base64String({ maxLength: 12 })),
      mostly(fc.constantFrom("[]", "[1,2.5]", "[null]"), "[", '["x"]'),
      fc.oneof({ weight: 8, arbitrary: goodTime }, { weight: 2, arbitrary: oddTime }),
    );
    const quoted = (cell: string): string => (/[",\n\s]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    await fc.assert(
      fc.asyncProperty(fc.array(cells, { minLength: 1, maxLength: 120 }), async (rows) => {
        newFolder();
        const clean = rows.map((row) => row.map((cell) => cell.replaceAll("\0", "")));
        const lines = [columns.map(({ name }) => name), ...clean].map((row) => row.map(quoted).join(","));
        const path = await write("csv", `${lines.join("\n")}\n`);
        await expectLikeDoor(path, await rowsOf(path));
      }),
      { numRuns: caseCount(60) },
    );
  });

  it("from Parquet, whatever types its columns have", async () => {
    const types: Record<string, string[]> = {
      key: ["VARCHAR", "BLOB", "BIGINT"],
      number: ["BIGINT", "INTEGER", "DOUBLE", "UBIGINT", "VARCHAR", "DECIMAL(18,2)"],
      wide: ["BIGINT", "UBIGINT", "VARCHAR"],
      amount: ["DOUBLE", "FLOAT", "BIGINT", "DECIMAL(18,3)", "VARCHAR"],
      flag: ["BOOLEAN", "INTEGER"],
      data: ["BLOB", "VARCHAR"],
      list: ["DOUBLE[]", "BIGINT[]", "VARCHAR[]"],
      at: ["TIMESTAMPTZ", "TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_S", "TIMESTAMP_NS", "DATE"],
    };
    const cellsOf = (type: string): string[] => {
      if (type.endsWith("[]"))
        return ["NULL", "[]", "[1, NULL, -0.0]", ...(type === "DOUBLE[]" ? ["['nan'::DOUBLE]"] : [])];
      if (/^(TIME|DATE)/.test(type)) {
        const times = [
          "'2001-01-01 12:00:00'",
          "'2026-05-31 23:59:00'",
          "'2026-06-01 00:00:30'",
          "'2030-01-01'",
          "'1677-10-01'",
          "NULL",
          ...(/_M?S$/.test(type) ? [] : ["'infinity'"]),
        ];
        return type === "TIMESTAMP_NS"
          ? ["'2001-01-01 00:00:00.123456'", "'2001-01-01 00:00:00.123456789'", "NULL"]
          : times;
      }
      if (type === "DOUBLE" || type === "FLOAT")
        return ["0.1", "-0.0", "'nan'", "'inf'", "9007199254740993", "2.5", "3", "NULL"];
      if (type === "VARCHAR") return ["'a'", "'12'", "'2.5'", "''", "'bad'", "repeat('ä', 600)", "NULL"];
      if (type === "BLOB") return ["'\\x00\\xFF'", "'abc'", "NULL"];
      if (type === "BOOLEAN") return ["true", "false", "NULL"];
      if (type === "UBIGINT") return ["0", "9007199254740991", "9007199254740992", "18446744073709551615", "NULL"];
      if (type === "BIGINT") return ["-46", "-45", "0", "9007199254740992", "-9223372036854775808", "NULL"];
      return ["-46", "7", "0", "NULL"];
    };
    const column = (name: string) =>
      fc
        .constantFrom(types[name]![0]!, ...types[name]!)
        .chain((type) =>
          fc
            .array(fc.constantFrom(...cellsOf(type)), { minLength: 30, maxLength: 30 })
            .map((cells) => ({ type, cells })),
        );
    await fc.assert(
      fc.asyncProperty(fc.tuple(...columns.map(({ name }) => column(name))), async (drawn) => {
        newFolder();
        const path = join(root, `rows-${randomUUID()}.parquet`);
        const rows = drawn[0]!.cells.map(
          (_, i) =>
            `SELECT ${drawn.map(({ type, cells }, c) => `${/^-?\d+(\.\d+)?$/.test(cells[i]!) ? `'${cells[i]}'` : cells[i]}::${type} AS "${columns[c]!.name}"`).join(", ")}`,
        );
        await engine.run(`COPY (${rows.join(" UNION ALL ")}) TO ${sqlText(path)} (FORMAT parquet)`);
        const archive = await openArchive();
        const { result, letters } = await importFiles(archive, [path]);
        // Each accepted row must pass the door with the very values that were stored.
        const stored = await historyOf(result.after);
        const asRows = stored.map((row) =>
          Object.fromEntries(
            columns.map(({ name, type }) => [name, type.name === "timestamp" ? { micros: row[name] } : row[name]]),
          ),
        );
        expect(throughDoor(asRows).codes).toEqual([]);
        for (const row of stored) expect(shown(row["amount"]!)).not.toBe("-0");
        expect(result.accepted + letters.length).toBe(30);
      }),
      { numRuns: caseCount(60) },
    );
  });

  it("with NaN as one value and infinities where the source allows them", async () => {
    const open: StreamDefinition = { ...source, allowNonFinite: true };
    const path = join(root, `rows-${randomUUID()}.parquet`);
    const amounts = ["'nan'::DOUBLE", "-'nan'::DOUBLE", "'-inf'::DOUBLE", "-0.0::DOUBLE", "NULL"];
    const rows = amounts.map(
      (amount, i) => `SELECT 'a' AS key, ${amount} AS amount, [${amount}] AS list, make_timestamptz(${i}) AS at`,
    );
    await engine.run(`COPY (${rows.join(" UNION ALL ")}) TO ${sqlText(path)} (FORMAT parquet)`);
    const { result, letters } = await importFiles(await openArchive(open), [path], { source: open });
    expect(letters).toEqual([]);
    const stored = await historyOf(result.after, open);
    const expected = [Number.NaN, Number.NaN, Number.NEGATIVE_INFINITY, 0, null];
    expect(stored.map((row) => shown(row["amount"]!))).toEqual(expected);
    expect(stored.map((row) => shown(row["list"]!))).toEqual(expected.map((value) => [value]));
    const read = `SELECT amount FROM ${eventRelation(result.after.history, open.columns)} WHERE isnan(amount)`;
    for await (const { columns: found } of engine.stream(read, [{ as: "number" }])) {
      const bits = new BigUint64Array((found[0] as Float64Array).slice().buffer);
      expect([...bits]).toEqual([0x7ff8000000000000n, 0x7ff8000000000000n]);
    }
  });
});

/** Rows of a CSV file as `ingest` would push them. */
async function rowsOf(path: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  const described = columns.map(({ name, type }) => ({
    name,
    type: type.name === "array" ? "array<float64>" : type.name,
  }));
  for await (const batch of readRowFile({
    path,
    columns: described as never,
    rowsPerBatch: 100,
    openEngine: () => openDuckDb({ threads: 1 }),
  }))
    rows.push(...batch);
  return rows;
}
