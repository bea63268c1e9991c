/** Label rows in CSV: the header is the first line, whatever stands below it, and a row that is broken names its line. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EntityDefinition } from "../../src/define/definition.ts";
import { entity, t } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { readSpine, type Spine } from "../../src/training/spine.ts";

const user: EntityDefinition = entity("user", { user_id: t.string() });

let folder: string;
let engine: QueryEngine;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-labels-"));
  engine = await openDuckDb();
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function fileOf(content: string | Uint8Array, name = "labels.csv"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function read(content: string | Uint8Array, name?: string): Promise<Spine & { readonly rows: unknown[] }> {
  const spine = await readSpine(engine, { path: await fileOf(content, name) }, [user], "time");
  const names = spine.columns.map((column) => `"${column.name.replaceAll('"', '""')}"::VARCHAR`);
  const rows = await engine.rows(`SELECT ${names.join(", ")} FROM spine`);
  return { ...spine, rows: rows.map((row) => Object.values(row)) };
}

function typesOf({ columns }: Spine): string[] {
  return columns.map(({ name, type }) => `${name} ${type}`);
}

describe("label rows in CSV", () => {
  it.each([
    ["too few fields", "u2,2026-01-02", "line 3 has 2 fields, the header 3"],
    ["too many fields", "u2,2026-01-02,0,9", "line 3 has 4 fields, the header 3"],
    ["an open quote", 'u2,"2026-01-02,0', "line 3 has a quote that is not closed"],
  ])("with a row of %s are refused with its line", async (_, row, message) => {
    for (const after of ["", "\n", "\nu3,2026-01-03,1\n", `\n${"u3,2026-01-03,1\n".repeat(20_000)}`]) {
      for (const lineEnd of ["\n", "\r\n"]) {
        const text = `user_id,t,fraud\nu1,2026-01-01,1\n${row}${after}`.replaceAll("\n", lineEnd);
        const where = expect.stringMatching(/labels\.csv(\.gz)?:3$/) as string;
        await expect(read(text)).rejects.toMatchObject({ code: "FILE_UNREADABLE", message, where });
        await expect(read(gzipSync(text), "labels.csv.gz")).rejects.toMatchObject({ message, where });
      }
    }
  });

  it("never take a longer row for the header, nor a row for a comment", async () => {
    await expect(read("user_id,t\nu1,2026-01-01,x\nu2,2026-01-02,y\n")).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      message: "line 2 has 3 fields, the header 2",
    });
    const { rows } = await read("user_id,t\n#1,2026-01-01\nu2,2026-01-02\n");
    expect(rows).toEqual([
      ["#1", "2026-01-01"],
      ["u2", "2026-01-02"],
    ]);
    // an apostrophe quotes nothing
    expect((await read("user_id,t\n'u1,2026-01-01\nu2',2026-01-02\n")).rows).toHaveLength(2);
  });

  it("have the types that their values say, but for keys and times, which stay text", async () => {
    const text = `\uFEFF
user_id,t,amount,fraud,day,note,n,empty
007,2026-01-01T00:00:00Z,1.5,true,2026-01-01,"a, ""b""",1,
8,2026-01-02T00:00:00+02:00,2,false,2026-01-02,,,`;
    const spine = await read(text);
    expect(typesOf(spine)).toEqual([
      "user_id VARCHAR",
      "t VARCHAR",
      "amount DOUBLE",
      "fraud BOOLEAN",
      "day DATE",
      "note VARCHAR",
      "n BIGINT",
      "empty VARCHAR",
    ]);
    expect(spine.rows).toEqual([
      ["007", "2026-01-01T00:00:00Z", "1.5", "true", "2026-01-01", 'a, "b"', "1", null],
      ["8", "2026-01-02T00:00:00+02:00", "2.0", "false", "2026-01-02", null, null, null],
    ]);
    expect(typesOf(await read("user_id,t,amount\n"))).toEqual(["user_id VARCHAR", "t VARCHAR", "amount VARCHAR"]);
  });

  it("keep whole numbers that a float64 would not give back as text", async () => {
    const text = `user_id,t,postcode,id,phone,share,plain,short
u1,2026-01-01,007,12345678901234567890,+4930,12345678901234567,9007199254740993,0
u2,2026-01-02,10115,7,30,0.5,-1,-0.5`;
    const spine = await read(text);
    expect(typesOf(spine)).toEqual([
      "user_id VARCHAR",
      "t VARCHAR",
      "postcode VARCHAR",
      "id VARCHAR",
      "phone VARCHAR",
      "share VARCHAR",
      "plain BIGINT",
      "short DOUBLE",
    ]);
    expect(spine.rows).toEqual([
      ["u1", "2026-01-01", "007", "12345678901234567890", "+4930", "12345678901234567", "9007199254740993", "0.0"],
      ["u2", "2026-01-02", "10115", "7", "30", "0.5", "-1", "-0.5"],
    ]);
  });

  it("may be packed, and have tabs between the fields of a .tsv", async () => {
    const packed = await read(gzipSync("user_id,t\nu1,2026-01-01\n"), "labels.csv.gz");
    expect(packed.rows).toEqual([["u1", "2026-01-01"]]);
    const tabs = await read('user_id\tt\tnote\nu1\t2026-01-01\t"a,\tb"\n', "labels.tsv");
    expect(tabs.rows).toEqual([["u1", "2026-01-01", "a,\tb"]]);
    await expect(read("user_id\tt\nu1\n", "labels.tsv")).rejects.toMatchObject({
      message: "line 2 has 1 field, the header 2",
    });
    await expect(read("user_id;t\nu1;2026-01-01\n")).rejects.toMatchObject({
      code: "SPINE_INVALID",
      candidates: ["user_id;t"],
    });
  });

  it("without a header, or that are not there, are refused", async () => {
    await expect(read("")).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(readSpine(engine, { path: join(folder, "absent.csv") }, [user], "time")).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      message: "there is no such label file",
    });
    await expect(read(gzipSync("user_id,t\nu1,2026-01-01\n").subarray(0, 20), "labels.csv.gz")).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
  });

  it("come back as they are, whatever the engine takes them for", async () => {
    const odd = [
      "0x1F",
      "0b11",
      "yes",
      "t",
      "01/02/2026",
      "12:30",
      "2026-01-05T10:00:00+02:00",
      "0.1234567890123456789",
    ];
    const names = odd.map((_, i) => `c${i}`);
    const text = `user_id,t,${names.join(",")}\nu1,2026-01-01,${odd.join(",")}\nu2,2026-01-01,${odd.join(",")}\n`;
    const spine = await read(text);
    expect(spine.rows).toEqual([
      ["u1", "2026-01-01", ...odd],
      ["u2", "2026-01-01", ...odd],
    ]);
    const plain = [
      "12",
      "0",
      "-7",
      "1.5",
      "0.12345678901234567",
      "1.2345678901234567e-05",
      "true",
      "False",
      "2026-01-05",
    ];
    const typed = await read(`user_id,t,${plain.map((_, i) => `c${i}`).join(",")}\nu1,2026-01-01,${plain.join(",")}\n`);
    const types = ["BIGINT", "BIGINT", "BIGINT", "DOUBLE", "DOUBLE", "DOUBLE", "BOOLEAN", "BOOLEAN", "DATE"];
    expect(typesOf(typed).slice(2)).toEqual(types.map((type, i) => `c${i} ${type}`));
  });
});
