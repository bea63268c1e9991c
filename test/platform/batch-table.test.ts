/** Batch sources of Delta tables that other engines change and make anew: their logs are written here by hand. */
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { batch, count, entity, sum, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const rider = entity("rider", { rider_id: t.string() });
const columns = { rider_id: t.string(), rated_at: t.timestamp(), stars: t.int64() };

let folder: string;
let table: string;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-table-"));
  table = join(folder, "ratings");
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(format: "delta" | "parquet", location: string, id?: "rider_id"): Promise<void> {
  const source = batch("ratings", {
    columns,
    eventTime: "rated_at",
    format,
    location,
    ...(id === undefined ? {} : { id }),
  });
  const definitions = [
    rider,
    source,
    view("rating", { entity: rider, source, features: { n: count(), stars: sum("stars") } }),
  ];
  const clock = new ReplayClock(parseMicros("2026-03-01T00:00:00Z"));
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
}

const run = () => platform.runBatch("ratings");
const served = async (riderId: string) => (await platform.features("rider", riderId)).features;

async function writeRows(name: string, stars: Readonly<Record<string, number>>): Promise<void> {
  await mkdir(table, { recursive: true });
  const engine = await openDuckDb({});
  const rows = Object.entries(stars).map(([riderId, n]) => `('${riderId}', '2026-02-01T00:00:00Z'::TIMESTAMPTZ, ${n})`);
  const select = `SELECT * FROM (VALUES ${rows.join(", ")}) v(rider_id, rated_at, stars)`;
  await engine.run(`COPY (${select}) TO '${join(table, name)}' (FORMAT parquet)`);
  await engine.close();
}

const added = (path: string, dataChange = true) => ({
  add: { path, partitionValues: {}, size: 1, modificationTime: 0, dataChange },
});
const removed = (path: string, dataChange = true) => ({ remove: { path, deletionTimestamp: 0, dataChange } });

async function commit(version: number, ...actions: readonly object[]): Promise<void> {
  await mkdir(join(table, "_delta_log"), { recursive: true });
  const name = `${String(version).padStart(20, "0")}.json`;
  await writeFile(join(table, "_delta_log", name), actions.map((action) => JSON.stringify(action)).join("\n"));
}

function created(id: string): readonly object[] {
  const schemaString = JSON.stringify({
    type: "struct",
    fields: [
      { name: "rider_id", type: "string", nullable: true, metadata: {} },
      { name: "rated_at", type: "timestamp", nullable: true, metadata: {} },
      { name: "stars", type: "long", nullable: true, metadata: {} },
    ],
  });
  const metaData = { id, format: { provider: "parquet", options: {} }, schemaString, partitionColumns: [] };
  return [
    { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
    { metaData: { ...metaData, configuration: {}, createdTime: 0 } },
  ];
}

describe("a batch source of a Delta table", () => {
  it("whose rows have no ids takes no row again that a version has only rewritten, and says which files", async () => {
    await open("delta", table);
    await writeRows("a.parquet", { ana: 5, bo: 3 });
    await commit(0, ...created("first"), added("a.parquet"));
    expect(await run()).toMatchObject({ rows: 2, accepted: 2, changedFiles: [] });
    await writeRows("b.parquet", { cy: 1 });
    await commit(1, added("b.parquet"));
    // DELETE FROM ratings WHERE rider_id = 'bo'
    await writeRows("a2.parquet", { ana: 5 });
    await commit(2, removed("a.parquet"), added("a2.parquet"));
    // OPTIMIZE
    await writeRows("joined.parquet", { ana: 5, cy: 1 });
    await commit(3, removed("a2.parquet", false), removed("b.parquet", false), added("joined.parquet", false));
    expect(await run()).toMatchObject({ rows: 1, accepted: 1, changedFiles: [join(table, "a2.parquet")] });
    expect(await run()).toMatchObject({ rows: 0, changedFiles: [] });
    expect(await served("ana")).toEqual({ n: 1, stars: 5 });
    expect(await served("cy")).toEqual({ n: 1, stars: 1 });
  });

  it("whose rows have ids takes what a version brings that rewrites others", async () => {
    await open("delta", table, "rider_id");
    await writeRows("a.parquet", { ana: 5, bo: 3 });
    await commit(0, ...created("first"), added("a.parquet"));
    expect(await run()).toMatchObject({ rows: 2, accepted: 2 });
    // MERGE
    await writeRows("a2.parquet", { ana: 5, cy: 1 });
    await commit(1, removed("a.parquet"), added("a2.parquet"));
    expect(await run()).toMatchObject({ rows: 2, accepted: 1, duplicates: 1, changedFiles: [] });
  });

  it.each([0, 2])("is read from the start where the table was made anew, at version %i", async (version) => {
    await open("delta", table);
    await writeRows("a.parquet", { ana: 5 });
    await commit(0, ...created("first"));
    await commit(1, added("a.parquet"));
    expect(await run()).toMatchObject({ rows: 1 });
    await rm(table, { recursive: true });
    await writeRows("a.parquet", { bo: 3 });
    await commit(0, ...created("second"), added("a.parquet"));
    for (let next = 1; next <= version; next++) {
      await writeRows(`${next}.parquet`, { bo: 1 });
      await commit(next, added(`${next}.parquet`));
    }
    expect(await run()).toMatchObject({ rows: version + 1, accepted: version + 1 });
    expect(await run()).toMatchObject({ rows: 0 });
    expect(await served("bo")).toEqual({ n: version + 1, stars: 3 + version });
  });

  it("says so where a version that was read is not there any more", async () => {
    await open("delta", table);
    await writeRows("a.parquet", { ana: 5 });
    await commit(0, ...created("first"));
    await commit(1, added("a.parquet"));
    expect(await run()).toMatchObject({ rows: 1 });
    await rm(join(table, "_delta_log", "00000000000000000001.json"));
    await expect(run()).rejects.toMatchObject({ code: "TABLE_INVALID" });
  });
});

describe("a batch source of files", () => {
  it("knows a file that was read where the folder has moved", async () => {
    await open("parquet", join(table, "*.parquet"));
    await writeRows("a.parquet", { ana: 5 });
    expect(await run()).toMatchObject({ rows: 1 });
    await platform.close();
    await rename(table, join(folder, "elsewhere"));
    table = join(folder, "elsewhere");
    await open("parquet", join(table, "*.parquet"));
    await writeRows("b.parquet", { bo: 3 });
    expect(await run()).toMatchObject({ rows: 1, changedFiles: [] });
    expect(await served("ana")).toEqual({ n: 1, stars: 5 });
  });
});
