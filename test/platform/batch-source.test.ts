/** Batch sources: what is new is read in runs, each row once, and is known from then on. */
import { appendFile, copyFile, mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import type { BatchSourceDefinition, Definition } from "../../src/define/definition.ts";
import { batch, count, entity, service, stream, sum, t, view } from "../../src/index.ts";
import { readBatchState, writeBatchState } from "../../src/ingest/batch/batch-state.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { describeWhere, shared } from "../services/describe-where.ts";
import { newDatabase } from "../services/postgres.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const HOUR = 3_600_000_000;
const rider = entity("rider", { rider_id: t.string() });
const columns = { rider_id: t.string(), rated_at: t.timestamp(), stars: t.int64() };

interface Rating {
  readonly rider_id: string;
  readonly rated_at: string;
  readonly stars: number;
}

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let definitions: Definition[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-"));
  await mkdir(join(folder, "ratings"));
  clock = new ReplayClock(START);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

type Shape = Partial<Pick<BatchSourceDefinition, "format" | "location" | "schedule">> & {
  readonly watermark?: string | { readonly column: string; readonly lookback?: "1h" };
};

/** Opens it with the source `ratings` of this shape, and a view and a service on it. */
async function open(shape: Shape, id?: "rider_id"): Promise<void> {
  const ratings = batch("ratings", {
    columns,
    eventTime: "rated_at",
    format: "parquet",
    location: join(folder, "ratings", "*.parquet"),
    ...(id === undefined ? {} : { id }),
    ...shape,
  });
  const rating = view("rating", { entity: rider, source: ratings, features: { n: count(), stars: sum("stars") } });
  definitions = [rider, ratings, rating, service("model", { features: [rating] })];
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
}

async function reopen(): Promise<void> {
  await platform.close();
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
}

function rating(riderId: string, hour: number, stars: number): Rating {
  return { rider_id: riderId, rated_at: formatMicros((START - (100 - hour) * HOUR) as Micros), stars };
}

async function writeParquet(name: string, rows: readonly object[]): Promise<void> {
  const engine = await openDuckDb({});
  const lines = join(folder, `${name}.ndjson`);
  await writeFile(lines, rows.map((row) => JSON.stringify(row)).join("\n"));
  const select = `SELECT rider_id, rated_at::TIMESTAMPTZ AS rated_at, stars FROM read_json('${lines}')`;
  await engine.run(`COPY (${select}) TO '${join(folder, "ratings", name)}' (FORMAT parquet)`);
  await engine.close();
}

async function served(riderId: string): Promise<unknown> {
  return (await platform.features("rider", riderId)).features;
}

const run = () => platform.runBatch("ratings");

describe("a batch source of files", () => {
  it("reads each file once, notices partitions that come late, and leaves alone what has changed", async () => {
    await open({});
    await writeParquet("day=1.parquet", [rating("ana", 1, 5), rating("bo", 2, 3)]);
    await writeParquet("day=3.parquet", [rating("ana", 30, 4)]);
    expect(await run()).toMatchObject({ status: "succeeded", rows: 3, accepted: 3, lateRows: 0, lateFiles: [] });
    expect(await served("ana")).toEqual({ n: 2, stars: 9 });
    expect(await run()).toMatchObject({ rows: 0, accepted: 0 });

    await reopen();
    await writeParquet("day=2.parquet", [rating("ana", 20, 1), rating("bo", 21, 1)]);
    await writeParquet("day=4.parquet", [rating("ana", 29, 1), rating("bo", 40, 1)]);
    const late = join(folder, "ratings", "day=2.parquet");
    expect(await run()).toMatchObject({ rows: 4, accepted: 4, lateRows: 3, lateFiles: [late] });
    expect(await served("ana")).toEqual({ n: 4, stars: 11 });

    await writeParquet("day=1.parquet", [rating("ana", 1, 5), rating("ana", 2, 5)]);
    const changed = join(folder, "ratings", "day=1.parquet");
    await utimes(changed, new Date(), new Date(Date.now() + 5000));
    expect(await run()).toMatchObject({ status: "succeeded", rows: 0, changedFiles: [changed] });
    expect(await served("ana")).toEqual({ n: 4, stars: 11 });
  });

  it("reads a changed file again where rows have ids, which are never forgotten", async () => {
    await open({ format: "csv", location: join(folder, "ratings", "all.csv") }, "rider_id");
    const file = join(folder, "ratings", "all.csv");
    await writeFile(file, "rider_id,rated_at,stars,more\nana,2026-02-01T00:00:00Z,5,x\nbo,2026-02-02T00:00:00Z,4,x\n");
    expect(await run()).toMatchObject({ rows: 2, accepted: 2 });
    clock.advanceTo((START + 90 * 24 * HOUR) as Micros);
    await appendFile(file, "cy,2026-02-03T00:00:00Z,3,x\n,,,x\ndi,2026-02-03T00:00:00Z,many,x\n");
    expect(await run()).toMatchObject({ rows: 5, accepted: 1, duplicates: 2, rejected: 2 });
    expect(await served("cy")).toEqual({ n: 1, stars: 3 });
    expect(await platform.deadLetters().list()).toHaveLength(2);
  });

  it("is served and trained as known from the run on, and the audit agrees", async () => {
    await open({ format: "ndjson", location: join(folder, "ratings", "*.ndjson") });
    await writeFile(join(folder, "ratings", "1.ndjson"), `${JSON.stringify(rating("ana", 1, 5))}\n`);
    await run();
    clock.advanceTo((START + HOUR) as Micros);
    await platform.vector("model", { rider_id: "ana" }, { token: true });
    const labels = [(START - HOUR) as Micros, (START + 1) as Micros].map((at) => `ana,${formatMicros(at)}`);
    await writeFile(join(folder, "labels.csv"), ["rider_id,at", ...labels].join("\n"));
    const set = await platform.train({
      service: "model",
      labels: join(folder, "labels.csv"),
      out: join(folder, "set.parquet"),
      timeColumn: "at",
    });
    expect(set).toBeDefined();
    const engine = await openDuckDb({});
    const rows = await engine.rows(`SELECT * FROM read_parquet('${join(folder, "set.parquet")}')`);
    await engine.close();
    expect(rows.map((row) => row["n"])).toEqual([0, 1]);
    expect((await platform.audit({ states: true })).clean).toBe(true);
  });

  it("that is cut short goes on with the rest, each row once and each refusal once", { timeout: 180_000 }, async () => {
    await open({ format: "ndjson", location: join(folder, "ratings", "*.ndjson") });
    const rows = Array.from({ length: 45_000 }, (_, i) =>
      JSON.stringify({ ...rating("ana", 1, 1), ...(i % 5000 === 0 ? { stars: "many" } : {}) }),
    );
    const bad = rows.filter((row) => row.includes("many")).length;
    const file = join(folder, "ratings", "1.ndjson");
    await writeFile(file, rows.join("\n"));
    for (let attempt = 0; attempt < 3; attempt++) {
      const stopping = new AbortController();
      const cut = platform.runBatch("ratings", {
        signal: stopping.signal,
        onProgress: () => stopping.abort(),
      });
      await expect(cut).rejects.toMatchObject({ code: "CANCELLED" });
      await platform.close();
      // What was copied counts, whatever becomes of the file.
      await rm(file, { force: true });
      // However long it was left alone.
      clock.advanceTo((clock.now() + 40 * 24 * HOUR) as Micros);
      platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
    }
    expect(await run()).toMatchObject({ status: "succeeded", attempts: 4, rows: 45_000, rejected: bad });
    expect(await served("ana")).toEqual({ n: 45_000 - bad, stars: 45_000 - bad });
    expect(await platform.deadLetters().list({ limit: 100 })).toHaveLength(bad);
    expect((await readdir(join(folder, "data", "batch", "ratings"))).toSorted()).toEqual(["state.json"]);

    // The names of its rows go while later runs are taken in, and theirs do not add up.
    const later = Array.from({ length: 5000 }, () => JSON.stringify(rating("bob", 2, 1)));
    for (let n = 2; n < 5; n++) {
      await writeFile(join(folder, "ratings", `${n}.ndjson`), later.join("\n"));
      expect(await run()).toMatchObject({ accepted: later.length });
    }
    await platform.settle();
    const store = openLmdbStore({ folder: join(folder, "data", "online"), readOnly: true });
    const names = [...store.scanMeta("id/ratings/")].map(({ name }) => name);
    await store.close();
    expect(names.length).toBeGreaterThanOrEqual(later.length);
    expect(names.length).toBeLessThan(5 * later.length);
  });

  it.each([false, true])(
    "whose definition changes while it is read takes each row once (the read cut short: %s)",
    async (isCut) => {
      const location = join(folder, "ratings", "*.ndjson");
      await open({ format: "ndjson", location });
      const lines = Array.from({ length: 45_000 }, () => JSON.stringify(rating("ana", 1, 1)));
      await writeFile(join(folder, "ratings", "1.ndjson"), lines.join("\n"));
      const stopping = new AbortController();
      let second: Promise<unknown> | undefined;
      const first = platform.runBatch("ratings", {
        signal: stopping.signal,
        onProgress: () => {
          if (isCut) stopping.abort();
          second ??= (async () => {
            const source = batch("ratings", {
              columns,
              eventTime: "rated_at",
              format: "ndjson",
              location,
              schedule: "0 3 * * *",
            });
            await platform.apply([rider, source, ...definitions.slice(2)]);
            return platform.runBatch("ratings");
          })();
        },
      });
      const outcome = await first.catch((error: unknown) => error);
      expect(outcome).toMatchObject(isCut ? { code: "CANCELLED" } : { rows: 45_000, accepted: 45_000 });
      expect(await second).toMatchObject({ status: "succeeded", rows: isCut ? 45_000 : 0 });
      expect(await served("ana")).toEqual({ n: 45_000, stars: 45_000 });
      const { runs, failures } = await readBatchState(join(folder, "data"), "ratings");
      expect(runs.map(({ status }) => status)).toEqual(isCut ? ["succeeded"] : ["succeeded", "succeeded"]);
      expect(failures).toBe(0);
    },
  );

  it("is read no more once its platform is closed, which waits for that", async () => {
    await open({ format: "ndjson", location: join(folder, "ratings", "*.ndjson") });
    const lines = Array.from({ length: 45_000 }, () => JSON.stringify(rating("ana", 1, 1)));
    await writeFile(join(folder, "ratings", "1.ndjson"), lines.join("\n"));
    let closed: Promise<void> | undefined;
    const order: string[] = [];
    const cut = platform.runBatch("ratings", {
      onProgress: () => {
        closed ??= platform.close().then(() => void order.push("closed"));
      },
    });
    await expect(cut.finally(() => order.push("run"))).rejects.toMatchObject({ code: "CANCELLED" });
    await closed;
    expect(order).toEqual(["run", "closed"]);
    await reopen();
    expect(await run()).toMatchObject({ status: "succeeded", attempts: 2, rows: 45_000 });
    expect(await served("ana")).toEqual({ n: 45_000, stars: 45_000 });
  });

  it("says of a run that the process did not live to end that it failed", async () => {
    await open({});
    await writeParquet("1.parquet", [rating("ana", 1, 5)]);
    const { id } = await run();
    const data = join(folder, "data");
    const state = await readBatchState(data, "ratings");
    const killed = { ...state.runs[0]!, id: "killed", status: "running", endedAt: null } as const;
    await writeBatchState(data, "ratings", { ...state, runs: [...state.runs, killed] });
    const next = await run();
    expect((await readBatchState(data, "ratings")).runs).toMatchObject([
      { id, status: "succeeded", error: null },
      { id: "killed", status: "failed", endedAt: null, error: { code: "CANCELLED" } },
      { id: next.id, status: "succeeded" },
    ]);
  });

  it("says what is wrong, takes in nothing of it, and goes on once that is mended", async () => {
    await open({});
    await writeParquet("1.parquet", [rating("ana", 1, 5)]);
    const good = join(folder, "ratings", "1.parquet");
    const broken = join(folder, "ratings", "2.parquet");
    await copyFile(good, broken);
    await truncate(broken, 200);
    await expect(run()).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      where: broken,
      hint: expect.stringContaining("mend the file"),
    });
    await reopen();
    await rm(broken);
    await run();
    expect(await served("ana")).toEqual({ n: 1, stars: 5 });

    const engine = await openDuckDb({});
    await engine.run(`COPY (SELECT 'bo' AS rider_id, 3 AS stars) TO '${broken}' (FORMAT parquet)`);
    await engine.close();
    await expect(run()).rejects.toMatchObject({ code: "FILE_COLUMN_MISSING", candidates: ["rider_id", "stars"] });
    await expect(platform.push("ratings", [rating("ana", 1, 1)])).rejects.toMatchObject({ code: "SOURCE_IS_BATCH" });
    await expect(platform.runBatch("ratingz")).rejects.toMatchObject({ code: "SOURCE_UNKNOWN" });
  });
});

describe("a batch source of a query", () => {
  it("reads on from its watermark, of any format that has one", async () => {
    const file = join(folder, "ratings", "all.parquet");
    const location = `SELECT rider_id, rated_at, stars FROM read_parquet('${file}') ;\n`;
    await open({ format: "sql", location, watermark: "rated_at" });
    await writeParquet("all.parquet", [rating("ana", 1, 5), rating("bo", 2, 3)]);
    expect(await run()).toMatchObject({ accepted: 2 });
    await writeParquet("all.parquet", [rating("ana", 1, 5), rating("bo", 2, 3), rating("ana", 3, 4)]);
    expect(await run()).toMatchObject({ rows: 1, accepted: 1, lateRows: 0 });
    expect(await run()).toMatchObject({ rows: 0 });
    expect(await served("ana")).toEqual({ n: 2, stars: 9 });
  });

  it("looks back for rows that come to be seen late, and takes none twice", async () => {
    const file = join(folder, "ratings", "all.parquet");
    const location = `SELECT * FROM read_parquet('${file}') -- with those of yesterday`;
    await open({ format: "sql", location, watermark: { column: "rated_at", lookback: "1h" } }, "rider_id");
    await writeParquet("all.parquet", [rating("ana", 1, 5), rating("bo", 9, 3)]);
    expect(await run()).toMatchObject({ accepted: 2 });
    await writeParquet("all.parquet", [
      rating("ana", 1, 5),
      rating("bo", 9, 3),
      rating("cy", 8, 2),
      rating("di", 2, 2),
    ]);
    expect(await run()).toMatchObject({ rows: 2, accepted: 1, duplicates: 1, lateRows: 1 });
  });

  it.each(["TIMESTAMP_NS", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"])(
    "reads on where its watermark is %s in UTC, and passes over rows that have none or an infinite one",
    async (type) => {
      const file = join(folder, "ratings", "all.parquet");
      await open({ format: "sql", location: `SELECT * FROM read_parquet('${file}')`, watermark: "rated_at" });
      const engine = await openDuckDb({});
      const write = async (rows: readonly string[]): Promise<void> => {
        const values = rows.map((row) => `(${row})`).join(", ");
        const select = `SELECT rider_id, rated_at::${type} AS rated_at, stars FROM (VALUES ${values}) v(rider_id, rated_at, stars)`;
        await engine.run(`COPY (${select}) TO '${file}' (FORMAT parquet)`);
      };
      const rows = ["'ana', '2026-02-01 00:00:00.123456', 5", "'ana', NULL, 1", "'ana', 'infinity', 1"];
      await write(rows);
      expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
      await write([...rows, "'ana', '2026-02-01 00:00:00.123457', 4"]);
      expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
      expect(await run()).toMatchObject({ rows: 0 });
      await engine.close();
      expect(await served("ana")).toEqual({ n: 2, stars: 9 });
    },
  );

  it("that fails says so, and a run of what is no batch source is refused", async () => {
    await open({ format: "sql", location: "SELECT * FROM nowhere", watermark: "rated_at" });
    await expect(run()).rejects.toMatchObject({
      code: "BATCH_SOURCE_FAILED",
      hint: expect.stringContaining("nowhere"),
    });
    const rides = stream("rides", { columns: { rider_id: t.string(), at: t.timestamp() }, eventTime: "at" });
    await platform.apply([...definitions, rides]);
    await expect(platform.runBatch("rides")).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  });
});

describe("a batch source of a Delta table", () => {
  it("reads what each version has added, once, also where files were joined meanwhile", async () => {
    // The table is the archive of a stream of another platform, which joins its small files as they add up.
    const rides = stream("rides", { columns, eventTime: "rated_at" });
    const other = await openPlatform({ dataDir: join(folder, "other"), clock });
    await other.apply([rider, rides]);
    await open({ format: "delta", location: join(folder, "other", "offline", "events", "rides") });
    let expected = 0;
    for (let commit = 0; commit < 30; commit++) {
      await other.push("rides", [rating("ana", commit, 1)]);
      await other.settle();
      expected++;
      if (commit % 7 !== 0 && commit !== 29) continue;
      await run();
      expect(await served("ana")).toEqual({ n: expected, stars: expected });
    }
    const names = await readdir(join(folder, "other", "offline", "events", "rides"), { recursive: true });
    expect(names.filter((name) => name.endsWith(".parquet")).length, "30 files and joined ones").toBeGreaterThan(30);
    await other.close();
  });
});

const describePostgres = await describeWhere("postgres");

describePostgres("a batch source of PostgreSQL", () => {
  const variable = "ONEFOLD_TEST_WAREHOUSE";
  let url: string;
  let database: Client;

  beforeEach(async () => {
    url = await newDatabase(await shared("postgres"));
    process.env[variable] = url;
    database = new Client({ connectionString: url });
    await database.connect();
    await database.query("CREATE TABLE ratings (rider_id text, rated_at timestamptz, stars bigint, more bytea)");
  });
  afterEach(async () => {
    delete process.env[variable];
    await database.end();
  });

  async function openOn(query: string): Promise<void> {
    const ratings = batch("ratings", {
      columns,
      eventTime: "rated_at",
      format: "postgres",
      location: query,
      connection: { env: variable },
      watermark: "rated_at",
    });
    const ratingView = view("rating", {
      entity: rider,
      source: ratings,
      features: { n: count(), stars: sum("stars") },
    });
    definitions = [rider, ratings, ratingView];
    platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
    await platform.apply(definitions);
  }

  it("reads on from its watermark, to the microsecond, in one moment, and rounds no number", async () => {
    await openOn("SELECT * FROM ratings -- all of them\n; ");
    await database.query(
      "INSERT INTO ratings SELECT 'ana', '2026-02-01T00:00:00Z'::timestamptz + i * interval '1 microsecond', 1 FROM generate_series(1, 12000) i",
    );
    await database.query("INSERT INTO ratings VALUES ('big', '2026-02-01T00:00:00.5Z', 9007199254740993, NULL)");
    expect(await run()).toMatchObject({ rows: 12_001, accepted: 12_000, rejected: 1 });
    await database.query("INSERT INTO ratings VALUES ('bo', '2026-02-01T00:00:00.500001Z', 4, NULL)");
    await database.query("INSERT INTO ratings VALUES ('ana', '2026-01-01T00:00:00Z', 4, NULL)");
    expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
    expect(await served("ana")).toEqual({ n: 12_000, stars: 12_000 });
    expect(await served("bo")).toEqual({ n: 1, stars: 4 });
  });

  it.each(["timestamptz", "timestamp"])(
    "reads on where its watermark is a %s, and passes over rows that have none or an infinite one",
    async (type) => {
      await database.query(`ALTER TABLE ratings ALTER rated_at TYPE ${type}`);
      await openOn("SELECT * FROM ratings");
      await database.query(
        "INSERT INTO ratings VALUES ('ana', '2026-02-01 00:00:00', 4, NULL), ('ana', NULL, 1, NULL), ('ana', 'infinity', 1, NULL), ('ana', '-infinity', 1, NULL)",
      );
      expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
      expect(await run()).toMatchObject({ rows: 0 });
      await database.query("INSERT INTO ratings VALUES ('ana', '2026-02-01 00:00:00.000001', 5, NULL)");
      expect(await run()).toMatchObject({ rows: 1, accepted: 1 });
      expect(await served("ana")).toEqual({ n: 2, stars: 9 });
    },
  );

  it("is given up at once where the platform is closed while the database is at work", async () => {
    await openOn("SELECT r.* FROM ratings r, pg_sleep(600)");
    const cut = run();
    const outcome = cut.catch((error: unknown) => error);
    const isAtWork = async (): Promise<boolean> => {
      const { rowCount } = await database.query(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'onefold' AND query LIKE 'FETCH%' AND state = 'active' AND datname = current_database()",
      );
      return rowCount === 1;
    };
    while (!(await isAtWork())) await sleep(20);
    await platform.close();
    expect(await outcome).toMatchObject({ code: "CANCELLED" });
  });

  it("says what is wrong without the password, and takes up where it was", async () => {
    await openOn("SELECT rider_id, rated_at, stars FROM ratings");
    await database.query("INSERT INTO ratings VALUES ('ana', '2026-02-01T00:00:00Z', 4, NULL)");
    await database.query("ALTER TABLE ratings RENAME COLUMN stars TO points");
    await expect(run()).rejects.toMatchObject({ code: "BATCH_SOURCE_FAILED", hint: expect.stringContaining("stars") });
    process.env[variable] = "postgres://someone:sesame@127.0.0.1:1/nowhere";
    const refused = await run().catch((error: unknown) => error as OnefoldError);
    expect(refused).toMatchObject({ code: "BATCH_SOURCE_FAILED" });
    expect(JSON.stringify([refused, (refused as OnefoldError).hint])).not.toContain("sesame");
    delete process.env[variable];
    await expect(run()).rejects.toMatchObject({ hint: expect.stringContaining(variable) });
    process.env[variable] = url;
    await database.query("ALTER TABLE ratings RENAME COLUMN points TO stars");
    expect(await run()).toMatchObject({ accepted: 1 });
  });
});
