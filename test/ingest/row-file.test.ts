import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readRowFile } from "../../src/ingest/row-file.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-row-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const columns = [
  { name: "code", type: "string" },
  { name: "wide", type: "int64" },
  { name: "whole", type: "int64" },
  { name: "amount", type: "float64" },
  { name: "yes", type: "bool" },
  { name: "at", type: "timestamp" },
  { name: "list", type: "array<int64>" },
];

async function rowsOf(path: string, rowsPerBatch = 2): Promise<{ rows: unknown[]; batches: number[] }> {
  const rows: unknown[] = [];
  const batches: number[] = [];
  for await (const batch of readRowFile({ path, columns, rowsPerBatch, openEngine: openDuckDb })) {
    rows.push(...batch);
    batches.push(batch.length);
  }
  return { rows, batches };
}

describe("readRowFile", () => {
  it("reads NDJSON line by line, blank lines left out, in batches", async () => {
    const path = join(folder, "rows.ndjson");
    writeFileSync(path, '{"code":"007"}\n\n{"code":"b","whole":2}\r\n{"code":"c"}\n');
    expect(await rowsOf(path)).toEqual({
      rows: [{ code: "007" }, { code: "b", whole: 2 }, { code: "c" }],
      batches: [2, 1],
    });
  });

  it("names the line that is not JSON", async () => {
    const path = join(folder, "broken.jsonl");
    writeFileSync(path, '{"code":"a"}\n{"code":\n');
    await expect(rowsOf(path)).rejects.toMatchObject({ code: "FILE_UNREADABLE", where: `${path}:2` });
  });

  it("reads CSV by the declared types: leading zeros of text stay, what fits no type stays text", async () => {
    const path = join(folder, "rows.csv");
    writeFileSync(
      path,
      "code,wide,whole,amount,yes,at,list,other\n" +
        '007,9223372036854775807,42,1.5,true,2026-01-01T00:00:00Z,"[1,2]",5\n"a,b",1,4.5,much,no,,none,\n',
    );
    expect((await rowsOf(path)).rows).toEqual([
      {
        code: "007",
        wide: "9223372036854775807",
        whole: 42,
        amount: 1.5,
        yes: true,
        at: "2026-01-01T00:00:00Z",
        list: [1, 2],
        other: "5",
      },
      { code: "a,b", wide: 1, whole: "4.5", amount: "much", yes: "no", at: null, list: "none", other: null },
    ]);
  });

  it("reads Parquet by its own types", async () => {
    const path = join(folder, "rows.parquet");
    const engine = await openDuckDb();
    await engine.run(
      `COPY (SELECT '007' AS code, 9223372036854775807::BIGINT AS wide, 42::INTEGER AS whole, 1.25::DECIMAL(9, 2) AS amount,
         true AS yes, TIMESTAMP '2026-01-01 00:00:00.000001' AS at, 'hi'::BLOB AS raw, [1, 2] AS list, DATE '1970-01-02' AS day
       UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) TO ${sqlText(path)} (FORMAT parquet)`,
    );
    await engine.close();
    expect((await rowsOf(path)).rows).toEqual([
      {
        code: "007",
        wide: "9223372036854775807",
        whole: 42,
        amount: 1.25,
        yes: true,
        at: { micros: Date.UTC(2026, 0, 1) * 1000 + 1 },
        raw: "aGk=",
        list: [1, 2],
        day: { micros: 86_400_000_000 },
      },
      { code: null, wide: null, whole: null, amount: null, yes: null, at: null, raw: null, list: null, day: null },
    ]);
  });

  it("refuses unknown endings, missing and damaged files", async () => {
    await expect(rowsOf(join(folder, "rows.xlsx"))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(rowsOf(join(folder, "nowhere.ndjson"))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(rowsOf(join(folder, "nowhere.csv"))).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    const damaged = join(folder, "damaged.parquet");
    writeFileSync(damaged, "PAR1 no more");
    await expect(rowsOf(damaged)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  });
});
