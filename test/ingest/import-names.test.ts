/** Columns of imported files that the source does not have, and columns of the source that the files do not have. */
import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sqlText } from "../../src/offline-store/engine.ts";
import { engine, importFiles, openArchive, root, write } from "./import-world.ts";

const AT = "2001-01-01T00:00:00Z";
const rows = {
  csv: `key,at,numbr,junk\na,${AT},1,x\n`,
  ndjson: JSON.stringify({ key: "a", at: AT, numbr: 1, junk: "x" }),
};

async function parquet(select: string): Promise<string> {
  const path = join(root, `names-${randomUUID()}.parquet`);
  await engine.run(`COPY (SELECT ${select}) TO ${sqlText(path)} (FORMAT PARQUET)`);
  return path;
}

const files: readonly [string, () => Promise<string>][] = [
  ["csv", () => write("csv", rows.csv)],
  ["ndjson", () => write("ndjson", rows.ndjson)],
  ["parquet", () => parquet(`'a' AS key, TIMESTAMPTZ '${AT}' AS at, 1 AS numbr, 'x' AS junk`)],
];

describe("columns of a file that the source does not have", () => {
  it.each(files)("are refused where called nearly as one that the file lacks: %s", async (_format, file) => {
    const archive = await openArchive();
    const path = await file();
    const good = await write("csv", `key,at,number\nb,${AT},2\n`);
    await expect(importFiles(archive, [good, path])).rejects.toMatchObject({
      code: "COLUMN_UNKNOWN",
      message: 'the source has no column "numbr", and the file no "number"',
      where: path,
      hint: expect.stringContaining("--map number=numbr"),
      candidates: ["number"],
    });
    expect((await archive.files()).historyEnd).toBe((await (await openArchive()).files()).historyEnd);

    const mapped = await importFiles(archive, [path], { columnMap: { number: "numbr" } });
    expect(mapped.result).toMatchObject({ accepted: 1, ignoredColumns: ["junk"] });
    expect(mapped.result.absentColumns).not.toContain("number");
    const passed = await importFiles(await openArchive(), [path], { passOver: ["numbr"] });
    expect(passed.result).toMatchObject({ accepted: 1, ignoredColumns: ["numbr", "junk"] });
    expect(passed.result.absentColumns).toContain("number");
    await rm(path);
  });

  it("are passed over where the file has the other one, or one only contains the other", async () => {
    const both = await write("csv", `key,at,number,numbr,count_of_keys\na,${AT},1,2,3\n`);
    const { result } = await importFiles(await openArchive(), [both]);
    expect(result).toMatchObject({ accepted: 1, ignoredColumns: ["numbr", "count_of_keys"] });
    const contains = await write("csv", `key,at,number_of_seats\na,${AT},3\n`);
    expect((await importFiles(await openArchive(), [contains])).result.ignoredColumns).toEqual(["number_of_seats"]);
  });
});

it("refuses a column that is mapped to one that the file lacks, though it may be null", async () => {
  const path = join(root, `mapped-${randomUUID()}.csv`);
  await writeFile(path, `key,at,seats\na,${AT},1\n`);
  await expect(importFiles(await openArchive(), [path], { columnMap: { number: "seat" } })).rejects.toMatchObject({
    code: "FILE_COLUMN_MISSING",
    candidates: ["seats"],
  });
});
