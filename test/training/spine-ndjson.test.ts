/** Label rows as lines of JSON: keys of 64 bits, which are numbers in one row and text in another. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { entity, t } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { readSpine } from "../../src/training/spine.ts";

it("has keys of 64 bits as numbers and as text, to the last digit, and refuses what is no whole number", async () => {
  const account = entity("account", { account: t.int64({ wide: true }) });
  const folder = await mkdtemp(join(tmpdir(), "onefold-labels-"));
  const engine = await openDuckDb();
  const read = async (...keys: string[]): Promise<unknown[]> => {
    const path = join(folder, "labels.ndjson");
    await writeFile(path, keys.map((key) => `{"account": ${key}, "t": "2026-01-01"}\n`).join(""));
    await readSpine(engine, { path }, [account], "time");
    return (await engine.rows("SELECT key_0 FROM spine_label ORDER BY row")).map(({ key_0: key }) => key);
  };
  try {
    const mixed = ['"9007199254740993"', "5", "-9223372036854775808", '"-7"', "9007199254740992"];
    expect(await read(...mixed)).toEqual(["9007199254740993", "5", "-9223372036854775808", "-7", "9007199254740992"]);
    for (const key of ["1.5", "true", "null", '"x"', "[1]"]) {
      const where = "row 2 is the first (counted from 1, without a header)";
      await expect(read('"7"', key), key).rejects.toMatchObject({ code: "SPINE_INVALID", where });
    }
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});

it("has text that looks like a time as the text that it is", async () => {
  const user = entity("user", { user_id: t.string() });
  const folder = await mkdtemp(join(tmpdir(), "onefold-labels-"));
  const engine = await openDuckDb();
  try {
    const path = join(folder, "labels.ndjson");
    const odd = ["2026-01-05T10:00:00+02:00", "12:30", "05-01-2026", "550E8400-e29b-41d4-a716-446655440000"];
    const cells = Object.fromEntries(odd.map((text, i) => [`c${i}`, text]));
    await writeFile(path, `${JSON.stringify({ user_id: "u1", t: "2026-01-01", ...cells, n: 1.5, ok: true })}\n`);
    const { columns } = await readSpine(engine, { path }, [user], "time");
    expect(await engine.rows("SELECT c0, c1, c2, c3 FROM spine")).toEqual([cells]);
    expect(columns.slice(-2).map(({ type }) => type)).toEqual(["DOUBLE", "BOOLEAN"]);
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});
