/** Training sets over HTTP, built by processes of their own. */
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MICROS_PER_DAY } from "../../../src/base/micros.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { sqlText } from "../../../src/offline-store/engine.ts";
import type { TrainingJob } from "../../../src/serve/training-desk.ts";
import type { TrainingJobsOptions } from "../../../src/platform/training-jobs/training-jobs.ts";
import { JobsWorld, LABELS, NOON } from "./jobs-world.ts";

// Each job starts a process, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

let world: JobsWorld;
afterEach(() => world.close());
async function open(options: Partial<TrainingJobsOptions> = {}): Promise<void> {
  world = await JobsWorld.open(options);
}

async function rowsOf(parquet: string): Promise<unknown[]> {
  const engine = await openDuckDb({ threads: 1 });
  try {
    return await engine.rows(`SELECT * FROM read_parquet(${sqlText(parquet)})`);
  } finally {
    await engine.close();
  }
}

/** Of the jobs that run. */
function childPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const isJob = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("train-job");
        return Number(parent) === process.pid && state !== "Z" && isJob;
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe("a training set over HTTP", () => {
  it("is the one that the platform builds, however its labels come, as Parquet and as Arrow", async () => {
    await open({ atOnce: 2 });
    const labels = join(world.labelsFolder, "labels.csv");
    writeFileSync(labels, LABELS);
    const out = join(world.folder, "set.parquet");
    await world.platform.train({ service: "fraud", labels, boundary: "inclusive", out });
    const expected = await rowsOf(out);
    expect(expected).toHaveLength(9);
    expect(expected).toContainEqual(expect.objectContaining({ user_id: "ada", payments_1h: 5, last_items: 44 }));
    // the Parquet file itself as labels, with features of an earlier run under other names
    const engine = await openDuckDb({ threads: 1 });
    await engine.run(`COPY (SELECT * FROM read_csv(${sqlText(labels)})) TO ${sqlText(`${labels}.parquet`)}`);
    await engine.close();

    const query = "/training-sets?service=fraud&boundary=inclusive";
    const [head, ...lines] = LABELS.trim()
      .split("\n")
      .map((line) => line.split(","));
    const rows = lines.map((cells) => Object.fromEntries(head!.map((name, i) => [name, cells[i]])));
    const options = { service: "fraud", boundary: "inclusive" };
    const started = await Promise.all([
      world.ask("POST", query, readFileSync(`${labels}.parquet`), "application/vnd.apache.parquet"),
      world.ask("POST", "/training-sets", { ...options, labels: { rows } }),
      world.ask("POST", "/training-sets", { ...options, labels: { path: "labels.csv" } }),
    ]);
    expect(started.map(({ status }) => status)).toEqual(started.map(() => 202));
    const features = ["payments_1h", "amount", "last_items", "last_paid", "amounts"];
    const valuesOf = (all: unknown[]): unknown[] =>
      all.map((row) => features.map((name) => (row as Record<string, unknown>)[name]));
    for (const { body } of started) {
      const { state, result, error } = await world.ended(body["id"]);
      expect([state, error]).toEqual(["done", null]);
      expect(result).toMatchObject({ rows: 9, features });
      const parquet = join(world.folder, "downloaded.parquet");
      writeFileSync(parquet, await world.download(body["id"], "parquet"));
      expect(valuesOf(await rowsOf(parquet))).toEqual(valuesOf(expected));
      // labels are not kept
      expect(readdirSync(join(world.dataDir, "training-sets", body["id"]))).toEqual([
        "job.json",
        "set.parquet",
        "set.parquet.manifest.json",
      ]);
    }
    const id = started[0]!.body["id"] as string;
    const table = tableFromIPC(await world.download(id, "arrow"));
    expect(String(table.schema.fields.find(({ name }) => name === "last_paid")!.type)).toBe(
      "Timestamp<MICROSECOND, UTC>",
    );
    expect(Array.from(table.getChild("last_items")!, (value) => (value === null ? null : Number(value)))).toEqual(
      expected.map((row) => (row as Record<string, unknown>)["last_items"]),
    );
    const manifest = JSON.parse(Buffer.from(await world.download(id, "manifest")).toString()) as Record<string, any>;
    expect(manifest["services"]).toMatchObject([{ name: "fraud" }]);
    expect(manifest["sources"]).toMatchObject([{ name: "payments", logEnd: "2026-03-01T11:59:59.999999Z" }]);
    expect((await world.ask("GET", "/training-sets")).body["training_sets"]).toHaveLength(3);
  });

  it("tells how it stands until it is done", async () => {
    await open();
    const id = await world.begin();
    const response = await fetch(`${world.server.url}/training-sets/${id}/events`);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const events = (await response.text())
      .trim()
      .split("\n\n")
      .filter((text) => !text.startsWith(":"));
    const jobs = events.map((text) => JSON.parse(/^data: (.*)$/m.exec(text)![1]!) as TrainingJob);
    expect(events.at(-1)).toMatch(/^event: done\nid: \d+\n/);
    expect(events.slice(0, -1).every((text) => text.startsWith("event: progress\n"))).toBe(true);
    expect(jobs.at(-1)).toMatchObject({ state: "done", progress: null, result: { rows: 9 } });
    const revisions = jobs.map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    // a job that is over is told of once
    expect(await (await fetch(`${world.server.url}/training-sets/${id}/events`)).text()).toMatch(/^event: done\n/);
  });

  it("fails with the error that training fails with, and has no file then", async () => {
    await open({ atOnce: 2 });
    const bad = await world.begin("service=fraud&boundary=inclusive", "user_id,t\nada,soon\n");
    const late = await world.begin("service=fraud&boundary=inclusive", "user_id,t\nada,2026-03-01T13:00:00Z\n");
    expect(await world.ended(bad)).toMatchObject({ state: "failed", result: null, error: { code: "SPINE_INVALID" } });
    expect(await world.ended(late)).toMatchObject({ state: "failed", error: { code: "SPINE_AFTER_LOG" } });
    const download = await world.ask("GET", `/training-sets/${bad}/download`);
    expect([download.status, download.body["error"].code]).toEqual([409, "TRAINING_SET_NOT_DONE"]);
    expect(readdirSync(join(world.dataDir, "training-sets", bad))).toEqual(["job.json"]);
  });
});

describe("a request for a training set", () => {
  it("is refused where it is wrong, and leaves nothing behind", async () => {
    await open({ labelBytesMax: 1000 });
    const rows = [{ user_id: "ada", t: "2026-03-01T11:30:00Z" }];
    const outside = join(world.folder, "outside.csv");
    writeFileSync(outside, LABELS);
    symlinkSync(outside, join(world.labelsFolder, "link.csv"));
    const json = (body: object): ReturnType<JobsWorld["ask"]> => world.ask("POST", "/training-sets", body);
    const codes = async (answers: Promise<{ status: number; body: Record<string, any> }>[]): Promise<unknown[]> =>
      (await Promise.all(answers)).map(({ status, body }) => [status, body["error"]?.code]);
    expect(
      await codes([
        json({ service: "frad", labels: { rows } }),
        json({ service: "fraud", labels: { rows }, bounday: "inclusive" }),
        json({ service: "fraud", labels: {} }),
        json({ service: "fraud", labels: { rows, path: "labels.csv" } }),
        json({ service: "fraud", labels: { path: "../outside.csv" } }),
        json({ service: "fraud", labels: { path: outside } }),
        json({ service: "fraud", labels: { path: "link.csv" } }),
        json({ service: "fraud", labels: { path: "none.csv" } }),
        world.ask("POST", "/training-sets?service=fraud", { service: "fraud", labels: { rows } }),
        world.ask("POST", "/training-sets", LABELS, "text/csv"),
        world.ask("POST", "/training-sets?service=fraud&fit=0", LABELS, "text/csv"),
        world.ask("POST", "/training-sets?service=fraud&key_columns=user", LABELS, "text/csv"),
        world.ask("POST", "/training-sets?service=fraud", LABELS.repeat(4), "text/csv"),
        world.ask("GET", "/training-sets/none"),
        world.ask("GET", "/training-sets/none/events"),
        world.ask("DELETE", "/training-sets/..%2F..%2Fregistry"),
      ]),
    ).toEqual([
      [404, "SERVICE_UNKNOWN"],
      [400, "REQUEST_INVALID"],
      [400, "REQUEST_INVALID"],
      [400, "REQUEST_INVALID"],
      [403, "PATH_NOT_ALLOWED"],
      [403, "PATH_NOT_ALLOWED"],
      [403, "PATH_NOT_ALLOWED"],
      [400, "FILE_UNREADABLE"],
      [400, "REQUEST_INVALID"],
      [400, "REQUEST_INVALID"],
      [400, "REQUEST_INVALID"],
      [400, "REQUEST_INVALID"],
      [413, "BODY_TOO_LARGE"],
      [404, "TRAINING_SET_UNKNOWN"],
      [404, "TRAINING_SET_UNKNOWN"],
      [404, "TRAINING_SET_UNKNOWN"],
    ]);
    expect(readdirSync(join(world.dataDir, "training-sets"))).toEqual([]);
  });

  it("is refused where too many wait, until one is cancelled", async () => {
    await open({ waitingMax: 1 });
    const [running, waiting] = [await world.begin(), await world.begin()];
    expect(await world.job(waiting)).toMatchObject({ state: "queued", jobs_ahead: 0 });
    const refused = await world.ask("POST", "/training-sets?service=fraud&boundary=inclusive", LABELS, "text/csv");
    expect([refused.status, refused.body["error"].code]).toEqual([429, "BACKPRESSURE"]);
    expect((await world.ask("DELETE", `/training-sets/${waiting}`)).body).toMatchObject({ state: "cancelled" });
    const another = await world.begin();
    expect((await world.ended(running)).state).toBe("done");
    expect((await world.ended(another)).state).toBe("done");
  });

  it("is refused by a server that builds none", async () => {
    await open();
    await world.stop();
    const { openPlatform } = await import("../../../src/platform.ts");
    world.platform = await openPlatform({ dataDir: world.dataDir, clock: world.clock });
    world.server = await world.platform.serve({ port: 0 });
    const { status, body } = await world.ask("POST", "/training-sets?service=fraud", LABELS, "text/csv");
    expect([status, body["error"].code]).toEqual([409, "TRAINING_NOT_OFFERED"]);
  });
});

describe("a training job", () => {
  it("is cancelled while it runs, and removed when it is over", async () => {
    await open();
    const id = await world.begin();
    await world.jobOnce(id, ({ state }) => state === "running");
    expect((await world.ask("DELETE", `/training-sets/${id}`)).body).toMatchObject({ state: "cancelled", error: null });
    expect(childPids()).toEqual([]);
    expect((await world.ask("DELETE", `/training-sets/${id}`)).status).toBe(200);
    expect((await world.ask("GET", `/training-sets/${id}`)).status).toBe(404);
    expect(existsSync(join(world.dataDir, "training-sets", id))).toBe(false);
  });

  it("fails, and only it, where its process is ended", async () => {
    await open();
    const id = await world.begin();
    await world.jobOnce(id, () => childPids().length === 1);
    process.kill(childPids()[0]!, "SIGKILL");
    expect(await world.ended(id)).toMatchObject({ state: "failed", error: { code: "TRAINING_INTERRUPTED" } });
    expect(await world.ended(await world.begin())).toMatchObject({ state: "done", error: null });
  });

  it("is interrupted where the server ends, says so after a restart, and what was done is still there", async () => {
    await open();
    const done = await world.begin();
    await world.ended(done);
    const [running, waiting] = [await world.begin(), await world.begin()];
    await world.jobOnce(running, ({ state }) => state === "running");
    await world.stop();
    expect(childPids()).toEqual([]);
    // A server that is killed writes nothing: its job is found as it was.
    const killed = join(world.dataDir, "training-sets", running, "job.json");
    const job = JSON.parse(readFileSync(killed, "utf8")) as object;
    writeFileSync(killed, JSON.stringify({ ...job, state: "running", finished_at: null, error: null }));
    await world.start();
    for (const id of [running, waiting]) {
      expect(await world.job(id)).toMatchObject({ state: "interrupted", error: { code: "TRAINING_INTERRUPTED" } });
      expect(readdirSync(join(world.dataDir, "training-sets", id))).toEqual(["job.json"]);
    }
    expect(await world.job(done)).toMatchObject({ state: "done", result: { rows: 9 } });
    expect((await world.download(done, "parquet")).length).toBeGreaterThan(100);
  });

  it("is removed when it is too old, or where there is no more room, the oldest first", async () => {
    await open({ keptBytesMax: 1 });
    const first = await world.begin();
    await world.ended(first);
    const second = await world.begin();
    await world.ended(second);
    await world.jobOnce(first, (job) => "error" in job && job.error?.code === "TRAINING_SET_UNKNOWN");
    expect(await world.job(second)).toMatchObject({ state: "done" });
    await world.stop();
    world.clock.advanceTo((NOON + 8 * MICROS_PER_DAY) as typeof NOON);
    await world.start();
    expect((await world.ask("GET", "/training-sets")).body).toEqual({ training_sets: [] });
    expect(readdirSync(join(world.dataDir, "training-sets"))).toEqual([]);
  });
});
