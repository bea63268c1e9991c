/** `onefold tables`, as its users run it, on tables that a platform has written. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { count, entity, openPlatform, stream, t, view } from "../../src/index.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const folder = mkdtempSync(join(tmpdir(), "onefold-tables-"));
const data = join(folder, "data");
/** As users mostly name it: relative to where they are. */
const json = (...args: string[]): ReturnType<typeof runJson> => runJson([...args, "--data", "data"], folder);

const visits = stream("visits", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
const user = entity("user", { user: t.string() });
const definitions = [
  user,
  visits,
  view("activity", {
    entity: user,
    source: visits,
    features: { visits_1d: count().over("1d") },
  }),
];

beforeAll(async () => {
  const platform = await openPlatform({ dataDir: data, definitions });
  try {
    await platform.apply(definitions);
    for (let part = 0; part < 3; part++) {
      const rows = Array.from({ length: 100 }, (_, i) => ({ user: `u${i % 7}`, at: { millis: Date.now() - i } }));
      await platform.push("visits", rows);
      await platform.settle();
    }
  } finally {
    await platform.close();
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function rowsIn(files: readonly { readonly path: string }[]): Promise<number> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const list = files.map(({ path }) => `'${path}'`).join(", ");
  const reader = await connection.runAndReadAll(
    `SELECT count(*)::INTEGER AS n FROM read_parquet([${list}]) WHERE _month >= '2000-01'`,
  );
  return Number(reader.getRowObjects()[0]!["n"]);
}

describe("onefold tables", () => {
  it("says which table is refused, and why, below the list of all others", async () => {
    const table = join(data, "offline", "features", "activity@7");
    mkdirSync(join(table, "_delta_log"), { recursive: true });
    writeFileSync(join(table, "_delta_log", `${"0".repeat(20)}.json`), "{");
    try {
      const { stdout, exitCode } = await runCli(["tables", "--data", "data"], folder);
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^events\/visits +3 +300 /m);
      expect(stdout).toMatch(/^features\/activity@7 is refused: .*not JSON\n.*_delta_log/m);
      const { tables } = (await json("tables")).result;
      expect(tables.find(({ table: name }: { table: string }) => name === "features/activity@7")).toMatchObject({
        version: null,
        refused: { code: "TABLE_INVALID" },
      });
    } finally {
      rmSync(table, { recursive: true });
    }
  });

  it("lists tables, their history and their files, now and as of a version or a time", async () => {
    const { tables } = (await json("tables")).result;
    expect(tables).toContainEqual({
      table: "events/visits",
      kind: "events",
      version: 3,
      rows: 300,
      bytes: expect.any(Number),
      files: 3,
      first_time: expect.any(String),
      last_time: expect.any(String),
    });
    const { versions } = (await json("tables", "history", "events/visits", "--limit", "2")).result;
    expect(versions).toEqual(
      [3, 2].map((version) => ({
        version,
        committed_at: expect.any(String),
        operation: "ARCHIVE LIVE",
        files_added: 1,
        files_removed: 0,
        rows_added: 100,
      })),
    );
    const second = (await json("tables", "files", "events/visits", "--at", "2")).result["files"];
    expect(await rowsIn(second)).toBe(200);
    const byTime = await json("tables", "files", "events/visits", "--at", versions[1].committed_at);
    expect(byTime.result["files"]).toEqual(second);
    const text = await runCli(["tables", "files", "events/visits", "--data", data], folder);
    expect(
      await rowsIn(
        text.stdout
          .trim()
          .split("\n")
          .map((path) => ({ path })),
      ),
    ).toBe(300);
  });

  it("joins small files, and deletes what left a table only when it is old, or when it is forced to", async () => {
    expect((await json("tables", "compact", "events/visits")).result["tables"]).toEqual([
      { table: "events/visits", version: 4, files_before: 3, files_after: 1 },
    ]);
    expect(await json("tables", "vacuum", "--keep", "1h")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "REQUEST_INVALID", hint: expect.stringContaining("24h") } },
    });
    const forced = ["tables", "vacuum", "events/visits", "--keep", "0", "--force"];
    const dry = (await json(...forced, "--dry-run")).result;
    expect(dry).toMatchObject({ dry_run: true, tables: [{ table: "events/visits", log_files: 0 }] });
    expect(dry["tables"][0].files).toHaveLength(3);
    expect((await json(...forced)).result).toEqual({ ...dry, dry_run: false });
    expect(await json("tables", "files", "events/visits", "--at", "3")).toMatchObject({
      exitCode: 1,
      result: { error: { code: "TABLE_VERSION_GONE" } },
    });
    expect(await rowsIn((await json("tables", "files", "events/visits")).result["files"])).toBe(300);
  });

  it("are joined beside a running platform that goes on archiving, and no row is lost or doubled", async () => {
    const platform = await openPlatform({ dataDir: data, definitions });
    try {
      const work = { isDone: false };
      let pushed = 300;
      const pushing = (async () => {
        while (!work.isDone || pushed < 900) {
          const rows = Array.from({ length: 100 }, (_, i) => ({ user: `u${i % 7}`, at: { millis: Date.now() - i } }));
          await platform.push("visits", rows);
          await platform.settle();
          pushed += 100;
        }
      })();
      const compacted = await json("tables", "compact");
      work.isDone = true;
      await pushing;
      expect(compacted.exitCode).toBe(0);
      const offsets = (await platform.offlineRows("events/visits", "_offset")).map((row) => row["_offset"]);
      expect(offsets).toEqual(Array.from({ length: pushed }, (_, offset) => offset));
    } finally {
      await platform.close();
    }
  });

  it("says which tables there are where another is named", async () => {
    expect((await json("tables", "history", "events/visit")).result).toMatchObject({
      error: { code: "TABLE_UNKNOWN", candidates: expect.arrayContaining(["events/visits"]) },
    });
  });
});
