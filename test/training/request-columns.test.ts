/** Request data of label rows: what a file says of a request is what the request would have carried, or is refused. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EntityDefinition } from "../../src/define/definition.ts";
import { entity, t } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText } from "../../src/offline-store/engine.ts";
import type { Column, Value, ValueType } from "../../src/schema/value.ts";
import { readRequestColumns } from "../../src/training/request-columns.ts";
import { readSpine } from "../../src/training/spine.ts";

const user: EntityDefinition = entity("user", { user_id: t.string() });
const FLOAT: ValueType = { name: "float64" };
const INT: ValueType = { name: "int64" };
const STRING: ValueType = { name: "string" };
const BYTES: ValueType = { name: "bytes" };
const BOOL: ValueType = { name: "bool" };
const TIME: ValueType = { name: "timestamp" };
const WIDE: ValueType = { name: "int64", wide: true };
const listOf = (element: ValueType): ValueType => ({ name: "array", element });

let folder: string;
let engine: QueryEngine;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-request-"));
  engine = await openDuckDb();
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** The values of a request column "given" in a file of label rows. */
async function valuesIn(path: string, type: ValueType, nullable = true): Promise<Value[]> {
  const columns: Column[] = [{ name: "given", type, nullable }];
  const spine = await readSpine(engine, { path }, [user], "time", columns);
  const [column] = await readRequestColumns(engine, spine, columns);
  return Array.from({ length: spine.rowCount }, (_, row) => column!.value(row));
}

/** Each cell as its JSON text; undefined for a row that lacks it. */
async function inJson(cells: readonly (string | undefined)[], type: ValueType, nullable?: boolean): Promise<Value[]> {
  const path = join(folder, "labels.ndjson");
  const rows = cells.map((cell) => {
    return `{"user_id":"ada","t":"2026-01-01T00:00:00Z"${cell === undefined ? "" : `,"given":${cell}`}}\n`;
  });
  await writeFile(path, rows.join(""));
  return valuesIn(path, type, nullable);
}

describe("request data in NDJSON", () => {
  it.each([
    ["float64", FLOAT],
    ["int64", INT],
    ["int64, wide", WIDE],
    ["bool", BOOL],
    ["timestamp", TIME],
    ["bytes", BYTES],
    ["string", STRING],
    ["array<string>", listOf(STRING)],
  ])("may be null in every row, of type %s", async (_, type) => {
    expect(await inJson(["null", "null"], type)).toEqual([null, null]);
    expect(await inJson(["null", undefined], type)).toEqual([null, null]);
    await expect(inJson(["null", "null"], type, false)).rejects.toMatchObject({
      code: "SPINE_INVALID",
      message: "given is null in 2 label rows",
      where: expect.stringContaining("row 1 is the first") as string,
    });
  });

  it("of several kinds is judged value by value, as a request's is", async () => {
    const mixed = ["1.5", '"much"', "null", "true"];
    await expect(inJson(mixed, FLOAT)).rejects.toMatchObject({
      code: "SPINE_INVALID",
      message: expect.stringMatching(/^given is null or not float64 .*in 2 label rows$/) as string,
      where: expect.stringContaining("row 2 is the first") as string,
    });
    await expect(inJson(["1", '"2026-01-01T00:00:00Z"'], TIME)).rejects.toMatchObject({
      where: expect.stringContaining("row 1 is the first") as string,
      hint: expect.stringContaining("does not say its unit") as string,
    });
    await expect(inJson(["true", '"AA=="'], BYTES)).rejects.toMatchObject({
      where: expect.stringContaining("row 1 is the first") as string,
    });
    // what a request may carry for an int64, text of digits included
    expect(await inJson(["7", '"8"', "null"], INT)).toEqual([7, 8, null]);
  });
});

/** Each cell as it stands in the file. */
async function inCsv(cells: readonly string[], type: ValueType, nullable?: boolean): Promise<Value[]> {
  const path = join(folder, "labels.csv");
  await writeFile(
    path,
    `user_id,t,given,last\n${cells.map((cell) => `ada,2026-01-01T00:00:00Z,${cell},1\n`).join("")}`,
  );
  return valuesIn(path, type, nullable);
}

describe("request data in CSV", () => {
  it("is null where a field is empty, and the empty text where a pair of quotes stands", async () => {
    expect(await inCsv(['""', "", "web", '"web"'], STRING)).toEqual(["", null, "web", "web"]);
    expect(await inCsv(['""', '""'], STRING, false)).toEqual(["", ""]);
    await expect(inCsv(['""', ""], STRING, false)).rejects.toMatchObject({
      message: "given is null in 1 label row",
      where: expect.stringContaining("row 2 is the first") as string,
    });
  });

  it("of other types is null where a field is empty; the empty text is none of theirs, as in a request", async () => {
    expect(await inCsv(["1.5", "", '"2"'], FLOAT)).toEqual([1.5, null, 2]);
    for (const type of [FLOAT, INT, BOOL, TIME]) {
      await expect(inCsv(["", '""'], type), type.name).rejects.toMatchObject({
        message: `given is null or not ${type.name} (its type is VARCHAR) in 1 label row`,
        where: expect.stringContaining("row 2 is the first") as string,
      });
    }
  });
});

describe("a time of request data or of a key, in CSV and NDJSON", () => {
  // An engine would take each of these for a date, and guess which number is the month.
  it.each(["03/04/2026", "13/04/2026", "04-13-2026", "3/4/26"])(
    "is refused where it is %s, as in a request",
    async (text) => {
      const first = { code: "SPINE_INVALID", where: expect.stringContaining("row 1 is the first") as string };
      await expect(inCsv([text], TIME)).rejects.toMatchObject(first);
      await expect(inJson([`"${text}"`], TIME)).rejects.toMatchObject(first);
      const day = entity("day", { day: t.timestamp() });
      for (const [name, rows] of [
        ["days.csv", `day,t\n${text},2026-05-01\n`],
        ["days.ndjson", `{"day":"${text}","t":"2026-05-01"}\n`],
      ] as const) {
        const path = join(folder, name);
        await writeFile(path, rows);
        await expect(readSpine(engine, { path }, [day], "time"), name).rejects.toMatchObject(first);
      }
    },
  );

  it("is what its text says, with a zone, without one in UTC", async () => {
    const texts = ["2026-01-01", "2026-01-01 02:00:00+02", "2026-01-01T00:00:00.000001Z"];
    const micros = [1767225600000000, 1767225600000000, 1767225600000001];
    expect(await inCsv([...texts, ""], TIME)).toEqual([...micros, null]);
    expect(await inJson([...texts.map((text) => `"${text}"`), "null"], TIME)).toEqual([...micros, null]);
    for (const [i, text] of texts.entries()) {
      expect(await inCsv([text], TIME)).toEqual([micros[i]]);
      expect(await inJson([`"${text}"`], TIME)).toEqual([micros[i]]);
    }
  });
});

/** A field of a CSV file that holds this JSON. */
const quoted = (json: string): string => `"${json.replaceAll('"', '""')}"`;

describe("an array of request data", () => {
  const LISTS = [
    [STRING, '["IT","DE"]', ["IT", "DE"]],
    [
      STRING,
      '["a, b","say \\"hi\\"","","2026-01-01T00:00:00Z",null,"\\u00e9"]',
      ["a, b", 'say "hi"', "", "2026-01-01T00:00:00Z", null, "é"],
    ],
    [STRING, "[]", []],
    [FLOAT, "[0.1,1e22,5e-324,0.30000000000000004,-0.0,3]", [0.1, 1e22, 5e-324, 0.30000000000000004, 0, 3]],
    [INT, "[9007199254740991,-1,null]", [9007199254740991, -1, null]],
    [WIDE, '["9223372036854775807",12]', ["9223372036854775807", "12"]],
    [BOOL, "[true,false]", [true, false]],
    [TIME, '["2026-01-01T00:00:00.123456Z"]', [1767225600123456]],
    [TIME, '["2026-01-01T02:00:00+02:00"]', [1767225600000000]],
    [BYTES, '["AP8="]', [Uint8Array.of(0, 255)]],
    [listOf(INT), "[[1,2],[],null]", [[1, 2], [], null]],
  ] as const;

  it.each(LISTS)("of %o is read as a request's is, from CSV and NDJSON: %s", async (element, json, value) => {
    expect(await inCsv([quoted(json), "", "null"], listOf(element))).toEqual([value, null, null]);
    expect(await inJson([json, "null", undefined], listOf(element))).toEqual([value, null, null]);
  });

  it("is refused where a request's is: elements of another type, or what is no list", async () => {
    const refused = [
      [FLOAT, '["1"]'],
      [INT, "[1.5]"],
      [STRING, "[7]"],
      [TIME, "[1767225600]"],
      [WIDE, "[9223372036854775807]"],
      [BOOL, '{"a":1}'],
    ] as const;
    for (const [element, json] of refused) {
      const error = {
        code: "SPINE_INVALID",
        where: expect.stringContaining("row 2 is the first") as string,
        hint: expect.stringContaining("in row 2, ") as string,
      };
      await expect(inCsv(["[]", quoted(json)], listOf(element)), json).rejects.toMatchObject(error);
      await expect(inJson(["[]", json], listOf(element)), json).rejects.toMatchObject(error);
    }
    await expect(inCsv(["IT; DE"], listOf(STRING))).rejects.toMatchObject({
      message: "given is null or not array<string> (its type is VARCHAR) in 1 label row",
      hint: expect.stringContaining("not valid JSON") as string,
    });
  });
});

describe("request data in Parquet", () => {
  it("may be a column of nulls alone", async () => {
    const path = join(folder, "labels.parquet");
    const select = `SELECT 'ada' AS user_id, '2026-01-01T00:00:00Z' AS t, NULL AS given`;
    await engine.run(`COPY (${select}) TO ${sqlText(path)} (FORMAT parquet)`);
    for (const type of [FLOAT, INT, BOOL, TIME, BYTES, STRING, listOf(STRING)]) {
      expect(await valuesIn(path, type), type.name).toEqual([null]);
    }
  });

  /** A list a row, each as the engine's SQL has it. */
  async function lists(cells: readonly string[], fileType: string, element: ValueType): Promise<Value[]> {
    const path = join(folder, "lists.parquet");
    const rows = cells.map((cell) => `('ada', '2026-01-01T00:00:00Z', ${cell}::${fileType})`).join(", ");
    await engine.run(`COPY (FROM (VALUES ${rows}) l(user_id, t, given)) TO ${sqlText(path)} (FORMAT parquet)`);
    return valuesIn(path, listOf(element));
  }

  it.each([
    [INT, "BIGINT[]", "[1, NULL, -9007199254740991]", [1, null, -9007199254740991]],
    [INT, "UTINYINT[]", "[255]", [255]],
    [INT, "DOUBLE[]", "[1.0, NULL, 2.0]", [1, null, 2]],
    [INT, "DECIMAL(4,2)[]", "[7.00]", [7]],
    [INT, "VARCHAR[]", "['12']", [12]],
    [WIDE, "BIGINT[]", "[9223372036854775807]", ["9223372036854775807"]],
    [WIDE, "VARCHAR[]", "['9223372036854775807']", ["9223372036854775807"]],
    [FLOAT, "DOUBLE[]", "[0.1, 5e-324, -0.0]", [0.1, 5e-324, 0]],
    [FLOAT, "INTEGER[]", "[3]", [3]],
    [FLOAT, "DECIMAL(4,2)[]", "[1.25]", [1.25]],
    [STRING, "VARCHAR[]", "['a', NULL, '']", ["a", null, ""]],
    [BOOL, "BOOLEAN[]", "[true, NULL]", [true, null]],
    [TIME, "TIMESTAMPTZ[]", "['2026-01-01T02:00:00.123456+02:00']", [1767225600123456]],
    [TIME, "TIMESTAMP[]", "['2026-01-01T00:00:00']", [1767225600000000]],
    [BYTES, "BLOB[]", "['\\x00\\xFF']", [Uint8Array.of(0, 255)]],
    [listOf(INT), "BIGINT[][]", "[[1, 2], []]", [[1, 2], []]],
    [listOf(INT), "DOUBLE[][]", "[[1.0], NULL]", [[1], null]],
  ] as const)("has lists of %o in a column of %s: %s", async (element, fileType, cell, value) => {
    expect(await lists([cell, "NULL", "[]"], fileType, element)).toEqual([value, null, []]);
  });

  it.each([
    [INT, "DOUBLE[]", "[1.0, 1.5]"],
    [INT, "FLOAT[]", "[2.5]"],
    [INT, "DOUBLE[]", "['nan']"],
    [INT, "DOUBLE[]", "[1e300]"],
    [INT, "DECIMAL(3,1)[]", "[1.5]"],
    [INT, "VARCHAR[]", "['1.5']"],
    [INT, "BIGINT[]", "[9007199254740993]"],
    [INT, "BOOLEAN[]", "[true]"],
    [WIDE, "DOUBLE[]", "[0.5]"],
    [WIDE, "HUGEINT[]", "[9223372036854775808]"],
    [FLOAT, "DOUBLE[]", "['inf']"],
    [FLOAT, "BOOLEAN[]", "[true]"],
    [BOOL, "INTEGER[]", "[2]"],
    [STRING, "DOUBLE[]", "[1.5]"],
    [TIME, "BIGINT[]", "[1767225600]"],
    [listOf(INT), "DOUBLE[][]", "[[1.0, 1.5]]"],
  ] as const)(
    "refuses lists of %o in a column of %s, where one holds what is none: %s",
    async (element, fileType, cell) => {
      await expect(lists(["[]", cell, "NULL"], fileType, element)).rejects.toMatchObject({
        code: "SPINE_INVALID",
        message: expect.stringMatching(/^given is null or not array<.*in 1 label row$/) as string,
        where: expect.stringContaining("row 2 is the first") as string,
      });
    },
  );
});
