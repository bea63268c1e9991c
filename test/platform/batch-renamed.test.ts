/** Batch sources whose columns were renamed: rows come under every name that a column has had. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { batch, count, entity, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { newDatabase } from "../services/postgres.ts";

const rider = entity("rider", { rider_id: t.string() });

let folder: string;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-renamed-"));
  await mkdir(join(folder, "ratings"));
  platform = await openPlatform({
    dataDir: join(folder, "data"),
    clock: new ReplayClock(parseMicros("2026-03-01T00:00:00Z")),
  });
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

const run = () => platform.runBatch("ratings");
const served = async (riderId: string) => (await platform.features("rider", riderId)).features;

describe("a batch source of files whose event time was renamed", () => {
  const common = { format: "ndjson", schedule: "0 3 * * *" } as const;

  /** The source and a view, first or after `rated_at` became `seen_at`. */
  function definitionsOf(name: "rated_at" | "seen_at"): Definition[] {
    const location = join(folder, "ratings", "*.ndjson");
    const first = batch("ratings", {
      columns: { rider_id: t.string(), rated_at: t.timestamp() },
      eventTime: "rated_at",
      location,
      ...common,
    });
    const renamed = batch("ratings", {
      columns: { rider_id: t.string(), seen_at: t.timestamp().was("rated_at") },
      eventTime: "seen_at",
      location,
      ...common,
    });
    const source = name === "rated_at" ? first : renamed;
    return [rider, source, view("rating", { entity: rider, source, features: { n: count() } })];
  }

  const write = async (name: string, rows: readonly object[]): Promise<void> =>
    writeFile(join(folder, "ratings", name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

  it("counts late rows and files under either name", async () => {
    await platform.apply(definitionsOf("rated_at"));
    await write("1.ndjson", [{ rider_id: "ana", rated_at: "2026-02-10T00:00:00Z" }]);
    expect(await run()).toMatchObject({ accepted: 1, lateRows: 0 });
    await platform.apply(definitionsOf("seen_at"));
    await write("2.ndjson", [{ rider_id: "ana", seen_at: "2026-02-09T00:00:00Z" }]);
    await write("3.ndjson", [
      { rider_id: "ana", rated_at: "2026-02-08T00:00:00Z" },
      { rider_id: "ana", seen_at: "2026-02-20T00:00:00Z" },
    ]);
    const late = join(folder, "ratings", "2.ndjson");
    expect(await run()).toMatchObject({ accepted: 3, lateRows: 2, lateFiles: [late] });
    await write("4.ndjson", [{ rider_id: "ana", seen_at: "2026-02-19T00:00:00Z" }]);
    expect(await run()).toMatchObject({ accepted: 1, lateRows: 1 });
    expect(await served("ana")).toEqual({ n: 5 });
  });
});

const describePostgres = await describeWhere("postgres");

describePostgres("a batch source of PostgreSQL whose columns were renamed", () => {
  const variable = "ONEFOLD_TEST_WAREHOUSE";
  let database: Client;

  beforeEach(async () => {
    const url = await newDatabase(await shared("postgres"));
    process.env[variable] = url;
    database = new Client({ connectionString: url });
    await database.connect();
    await database.query("CREATE TABLE ratings (rider_id text, rated_at timestamptz, stars bigint)");
    await database.query("INSERT INTO ratings VALUES ('ana', '2026-02-01T00:00:00Z', 4)");
  });
  afterEach(async () => {
    delete process.env[variable];
    await database.end();
  });

  function definitionsOf(name: "stars" | "points"): Definition[] {
    const common = {
      eventTime: "rated_at",
      format: "postgres",
      location: "SELECT * FROM ratings",
      connection: { env: variable },
      watermark: "rated_at",
    } as const;
    const kept = { rider_id: t.string(), rated_at: t.timestamp(), note: t.string().nullable() };
    if (name === "stars") {
      const source = batch("ratings", { columns: { ...kept, stars: t.int64() }, ...common });
      return [rider, source, view("rating", { entity: rider, source, features: { total: sum("stars") } })];
    }
    const source = batch("ratings", { columns: { ...kept, points: t.int64().was("stars") }, ...common });
    return [rider, source, view("rating", { entity: rider, source, features: { total: sum("points") } })];
  }

  it("takes a query that gives either name, and one without a column that may be null", async () => {
    await platform.apply(definitionsOf("stars"));
    expect(await run()).toMatchObject({ accepted: 1 });
    await platform.apply(definitionsOf("points"));
    await database.query("INSERT INTO ratings VALUES ('ana', '2026-02-02T00:00:00Z', 5)");
    expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
    await database.query("ALTER TABLE ratings RENAME COLUMN stars TO points");
    await database.query("INSERT INTO ratings VALUES ('ana', '2026-02-03T00:00:00Z', 6)");
    expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
    expect(await served("ana")).toEqual({ total: 15 });
    await database.query("ALTER TABLE ratings RENAME COLUMN points TO score");
    await expect(run()).rejects.toMatchObject({
      code: "FILE_COLUMN_MISSING",
      message: "there is no column points",
      candidates: ["rider_id", "rated_at", "score"],
    });
  });
});
