/** CSV that is not as it should be is refused with its line, by an import and by a push alike; nothing is guessed. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCsvHeader } from "../../src/offline-store/csv-file.ts";
import { readRowFile } from "../../src/ingest/row-file.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { importFiles, openArchive, write } from "../ingest/import-world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-csv-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fileOf(text: string): Promise<string> {
  const path = join(folder, "rows.csv");
  await writeFile(path, text);
  return path;
}

async function rowsOf(text: string): Promise<unknown[]> {
  const path = await fileOf(text);
  const request = { path, columns: [], rowsPerBatch: 100, openEngine: () => openDuckDb() };
  const rows: unknown[] = [];
  for await (const batch of readRowFile(request)) rows.push(...batch);
  return rows;
}

describe("a CSV file", () => {
  it.each([
    ["too few fields", "4,5", "line 3 has 2 fields, the header 3"],
    ["one field", "4", "line 3 has 1 field, the header 3"],
    ["too many fields", "4,5,6,7", "line 3 has 4 fields, the header 3"],
    ["an open quote", '4,"5,6', "line 3 has a quote that is not closed"],
  ])("with a row of %s is refused with the row's line", async (_, row, message) => {
    for (const after of ["", "\n", "\n7,8,9\n"]) {
      for (const lineEnd of ["\n", "\r\n"]) {
        const text = `key,b,at\n1,2,3\n${row}${after}`.replaceAll("\n", lineEnd);
        const where = expect.stringMatching(/\.csv:3$/) as string;
        await expect(rowsOf(text)).rejects.toMatchObject({ code: "FILE_UNREADABLE", message, where });
        const path = await write("csv", text);
        const importing = importFiles(await openArchive(), [path]);
        await expect(importing).rejects.toMatchObject({ code: "FILE_UNREADABLE", message, where: `${path}:3` });
      }
    }
  });

  it("may hold ten thousands of good rows before the bad one", async () => {
    const text = `key,b,at\n${"1,2,2026-01-01\n".repeat(50_000)}4,5\n`;
    const path = await write("csv", text);
    const importing = importFiles(await openArchive(), [path]);
    await expect(importing).rejects.toMatchObject({ where: `${path}:50002` });
  });

  it("has the header that its first line says, whatever stands below", async () => {
    expect(await rowsOf('a,"b, c",a,A,\n1,2,3,4,5\n')).toEqual([
      { a: "1", "b, c": "2", a_1: "3", A_2: "4", column4: "5" },
    ]);
    expect(await rowsOf("\uFEFFa,b\n1,2")).toEqual([{ a: "1", b: "2" }]);
    expect(await rowsOf("\n \na,b\n1,2\n")).toEqual([{ a: "1", b: "2" }]);
    expect(await rowsOf('"a ""quoted""","two\nlines"\n1,2\n')).toEqual([{ 'a "quoted"': "1", "two\nlines": "2" }]);
    expect(await rowsOf("# a,b\n# 1,2\n")).toEqual([{ "# a": "# 1", b: "2" }]);
    expect(await rowsOf("a,b\n")).toEqual([]);
    expect(await rowsOf("a\n1\n\n2")).toHaveLength(3);
  });

  it.each(["", "\n\n", '"a,b\n1,2\n'])("without a header is refused: %j", async (text) => {
    await expect(readCsvHeader(await fileOf(text))).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      message: expect.stringContaining("has no header") as string,
    });
  });

  it.each(["utf16le", "latin1"] as const)("of another encoding than UTF-8 is refused: %s", async (encoding) => {
    const path = await fileOf("");
    await writeFile(path, Buffer.from("\uFEFFname,größe\n1,2\n".slice(encoding === "latin1" ? 1 : 0), encoding));
    const message = expect.stringContaining("is not UTF-8 text") as string;
    await expect(readCsvHeader(path)).rejects.toMatchObject({ code: "FILE_UNREADABLE", message, where: path });
  });
});
