/**
 * A server of which one offline table is refused, as another engine has written to it or its log is damaged: all goes on that does
 * not need the table, and once it is restored nothing is missing in it and nothing is there twice.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, openPlatform, type Platform, service, stream, t, view } from "../../src/index.ts";
import { FileEventLog } from "../../src/ingest/file-event-log.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { fileRelation, rewriteFiles } from "../../src/offline-store/table-rewrite.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const columns = { id: t.string(), user: t.string(), at: t.timestamp() };
const visits = stream("visits", { columns, eventTime: "at", id: "id" });
const sales = stream("sales", { columns, eventTime: "at", id: "id" });
const user = entity("user", { user: t.string() });
const activity = view("activity", { entity: user, source: visits, features: { visits: count() } });
const minutes = view("minutes", { entity: user, source: visits, features: { in_minute: count().over("1m") } });
const spending = view("spending", { entity: user, source: sales, features: { sales: count() } });
const definitions = [
  user,
  visits,
  sales,
  activity,
  minutes,
  spending,
  service("profile", { features: [activity, minutes, spending] }),
];
const later = view("later", { entity: user, source: visits, features: { all: count() } });
const withLater = [...definitions, later, service("later_profile", { features: [later] })];
const REFUSED = { code: "TABLE_INVALID" };

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let minute: number;
let pushed: { readonly visits: string[]; readonly sales: string[] };

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: folder, clock, definitions: withLater, backfill: "behind" });
}

async function push(source: "visits" | "sales", n: number): Promise<void> {
  minute += 1;
  clock.advanceTo((START + minute * MINUTE) as Micros);
  const ids = Array.from({ length: n }, (_, i) => `${source}-${minute}-${i}`);
  const result = await platform.push(
    source,
    ids.map((id, i) => ({ id, user: `u${i % 3}`, at: { micros: clock.now() } })),
  );
  expect(result.accepted).toBe(n);
  pushed[source].push(...ids);
}

const visitsOf = async (who: string): Promise<unknown> =>
  (await platform.vector("profile", { user: who })).features["visits"];

const ready = (): Promise<Readonly<Record<string, unknown>>> => platform.request("GET", "/ready");

async function gauge(name: string): Promise<Record<string, number>> {
  const found = (await platform.measured()).find((each) => each.name === name) as unknown as {
    readonly values: readonly { readonly labels: { readonly source: string }; readonly value: number }[];
  };
  return Object.fromEntries(found.values.map(({ labels, value }) => [labels.source, value]));
}

/** A training set of a few labels. */
async function trained(): Promise<void> {
  const labels = join(folder, "labels.csv");
  const at = new Date(START / 1000).toISOString();
  await writeFile(labels, `user,label_time,label\nu0,${at},1\nu1,${at},0\n`);
  await platform.train({ service: "profile", labels, out: join(folder, "set.parquet") });
}

/** Every id of a source's table, as another engine reads it. */
async function archived(source: string): Promise<unknown[]> {
  const { files } = await platform.tables.files(`events/${source}`);
  const engine = await openDuckDb({ threads: 1 });
  try {
    const list = files.map((file) => `SELECT _id, _offset FROM ${fileRelation(file)}`).join(" UNION ALL ");
    return (await engine.rows(`SELECT _id FROM (${list}) ORDER BY _offset`)).map((row) => row["_id"]);
  } finally {
    await engine.close();
  }
}

/** As an optimize of another engine: the same rows, and no tags. */
async function optimize(name: string): Promise<void> {
  const engine = await openDuckDb({ threads: 1 });
  try {
    const table = (await openOfflineStore(join(folder, "offline"), engine).find(name))!;
    await rewriteFiles(table, engine, {
      operation: "OPTIMIZE",
      dataChange: false,
      plan: async ({ files }) =>
        files.map((file) => ({ files: [file], select: `SELECT * FROM ${fileRelation(file)}`, tags: {} })),
    });
  } finally {
    await engine.close();
  }
}

async function entries(name: string): Promise<string[]> {
  const log = join(folder, "offline", name, "_delta_log");
  const names = (await readdir(log)).filter((each) => /^\d+\.json$/.test(each)).toSorted();
  return names.map((each) => join(log, each));
}

/** As `restore(VERSION)` of another engine: a commit that has the files of a version again. Default: of the one before. */
async function restore(name: string, version?: number): Promise<void> {
  const paths = await entries(name);
  type Line = { add?: { path: string }; remove?: { path: string } };
  const filesOf = async (versions: readonly string[]): Promise<Map<string, Line>> => {
    const files = new Map<string, Line>();
    for (const path of versions) {
      for (const text of (await readFile(path, "utf8")).trim().split("\n")) {
        const { add, remove } = JSON.parse(text) as Line;
        if (remove !== undefined) files.delete(remove.path);
        if (add !== undefined) files.set(add.path, { add });
      }
    }
    return files;
  };
  const wanted = await filesOf(paths.slice(0, (version ?? paths.length - 2) + 1));
  const present = await filesOf(paths);
  const restored = [
    { commitInfo: { operation: "RESTORE", timestamp: Math.floor(clock.now() / 1000) } },
    ...[...wanted].flatMap(([path, line]) => (present.has(path) ? [] : [line])),
    ...[...present.keys()].flatMap((path) =>
      wanted.has(path) ? [] : [{ remove: { path, deletionTimestamp: 1, dataChange: true } }],
    ),
  ];
  await writeFile(entryPath(name, paths.length), restored.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

function entryPath(name: string, version: number): string {
  return join(folder, "offline", name, "_delta_log", `${String(version).padStart(20, "0")}.json`);
}

/** Has the table's log end with what is no entry; undone by what is returned. At once, in the turn that asks. */
function damage(name: string): () => void {
  const { length } = readdirSync(join(folder, "offline", name, "_delta_log")).filter((each) =>
    /^\d+\.json$/.test(each),
  );
  writeFileSync(entryPath(name, length), "{");
  return () => rmSync(entryPath(name, length));
}

/** One visit of u0 before all that is pushed, to be imported. */
async function historyFile(): Promise<string> {
  const file = join(folder, "history.csv");
  await writeFile(file, "id,user,at\nh1,u0,2026-02-28T23:00:00Z\n");
  return file;
}

/** Every state is what the archive and the log make of it. */
async function auditStates(): Promise<void> {
  const { states } = await platform.audit({ states: true });
  for (const { mismatched } of Object.values(states!)) expect(mismatched).toBe(0);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-refused-"));
  clock = new ReplayClock(START);
  minute = 0;
  pushed = { visits: [], sales: [] };
  platform = await openPlatform({ dataDir: folder, clock, definitions: withLater, backfill: "behind" });
  await platform.apply(definitions);
  for (let i = 0; i < 3; i++) {
    await push("visits", 6);
    await push("sales", 3);
    await platform.settle();
  }
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a server of which one table is refused", () => {
  it("opens, serves, takes events and archives all others; and catches up once the table is restored", async () => {
    await platform.close();
    await optimize("events/visits");
    await open();
    expect(await visitsOf("u0")).toBe(6);
    await push("visits", 6);
    await push("sales", 3);
    expect(await visitsOf("u0")).toBe(8);
    expect(
      (await platform.push("visits", [{ id: pushed.visits[0]!, user: "u0", at: { micros: clock.now() } }])).duplicates,
    ).toBe(1);

    await expect(platform.settle()).rejects.toMatchObject(REFUSED);
    expect(await archived("sales")).toEqual(pushed.sales);
    expect(await ready()).toMatchObject({
      status: "ready",
      warnings: [expect.stringMatching(/source visits.*TABLE_INVALID.*another engine has written/)],
    });
    expect((await platform.tables.list()).filter(({ refused }) => refused !== null)).toMatchObject([
      { table: "events/visits", rows: 18, refused: REFUSED },
    ]);
    expect(await gauge("onefold_table_refused")).toEqual({ visits: 1, sales: 0 });
    expect(await gauge("onefold_source_up")).toEqual({ visits: 1, sales: 1 });

    await expect(trained()).rejects.toMatchObject(REFUSED);
    const file = join(folder, "history.csv");
    await writeFile(file, "id,user,at\nh1,u0,2025-01-01T00:00:00Z\n");
    await expect(platform.importHistory("visits", [file])).rejects.toMatchObject(REFUSED);
    await expect(platform.backfill({ name: "activity" })).rejects.toMatchObject(REFUSED);
    await expect(platform.correct("visits", [{ op: "retract", id: pushed.visits[0]! }])).rejects.toMatchObject(REFUSED);
    await expect(platform.forget("user", ["u1"])).rejects.toMatchObject(REFUSED);
    expect(await visitsOf("u1"), "which forgets nothing").toBe(8);
    // What needs nothing of it is registered; what has to be computed from it waits.
    await platform.apply(definitions);
    await expect(platform.apply(withLater)).rejects.toMatchObject(REFUSED);
    await platform.backfill({ name: "spending" });

    await restore("events/visits");
    await platform.settle();
    await expect.poll(async () => await ready(), { timeout: 60_000 }).toEqual({ status: "ready" });
    expect(await archived("visits")).toEqual(pushed.visits);
    await expect
      .poll(async () => (await platform.vector("later_profile", { user: "u0" })).features["all"], { timeout: 60_000 })
      .toBe(8);
    await push("visits", 6);
    await platform.settle();
    expect(await archived("visits")).toEqual(pushed.visits);
    expect((await platform.tables.list()).every(({ refused }) => refused === null)).toBe(true);
    await trained();
    await auditStates();
  });

  it("goes on where the table's log is damaged, and once what was damaged is put back", async () => {
    await platform.close();
    const last = (await entries("events/visits")).at(-1)!;
    const whole = await readFile(last);
    await writeFile(last, whole.subarray(0, whole.length - 20));
    await open();
    await push("visits", 6);
    await push("sales", 3);
    await expect(platform.settle()).rejects.toMatchObject(REFUSED);
    expect(await archived("sales")).toEqual(pushed.sales);
    expect(await visitsOf("u0")).toBe(8);
    expect((await platform.tables.list()).map(({ table, refused }) => [table, refused !== null])).toContainEqual([
      "events/visits",
      true,
    ]);
    await platform.close();
    await open();
    expect(await visitsOf("u0")).toBe(8);
    await writeFile(last, whole);
    await platform.settle();
    expect(await archived("visits")).toEqual(pushed.visits);
  });

  it("goes on where a table of feature rows is damaged, and writes the rows of all others", async () => {
    const rowsOf = async (name: string): Promise<number> =>
      (await platform.tables.list()).find(({ table }) => table === name)!.rows;
    await platform.close();
    const last = (await entries("features/activity@1")).at(-1)!;
    const whole = await readFile(last);
    await writeFile(last, "{");
    await open();
    const before = await rowsOf("features/minutes@1");
    await push("visits", 6);
    await push("visits", 6);
    await expect(platform.settle()).rejects.toMatchObject(REFUSED);
    expect(await archived("visits")).toEqual(pushed.visits);
    expect(await rowsOf("features/minutes@1")).toBeGreaterThan(before);
    await platform.backfill({ name: "activity" });
    await writeFile(last, whole);
    await platform.settle();
    expect(await rowsOf("features/activity@1")).toBe(await rowsOf("features/minutes@1"));
    expect(await ready()).toEqual({ status: "ready" });
  });

  it("knows events of history again, and where it was opened anew", async () => {
    const file = await historyFile();
    await platform.importHistory("visits", [file]);
    await platform.close();
    await optimize("events/visits");
    await open();
    const again = { id: "h1", user: "u0", at: { micros: clock.now() } };
    expect(await platform.push("visits", [again])).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(await visitsOf("u0")).toBe(7);
    await platform.close();
    await open();
    expect(await visitsOf("u0")).toBe(7);
    await restore("events/visits");
    await platform.settle();
    expect(await archived("visits")).toEqual(["h1", ...pushed.visits]);
  });

  it("is not opened where nobody knows what history its source had taken up: events of it would count twice", async () => {
    await platform.close();
    await rm(join(folder, "online"), { recursive: true, force: true });
    await optimize("events/visits");
    await expect(open()).rejects.toMatchObject(REFUSED);
    await restore("events/visits");
    await open();
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(6);
  });

  it("is refused where it was restored to a version that lacks events, until it has them again", async () => {
    const version = (await entries("events/visits")).length - 1;
    await platform.close();
    await restore("events/visits", version - 1);
    await open();
    expect(await visitsOf("u0")).toBe(6);
    await push("visits", 6);
    await expect(platform.settle()).rejects.toMatchObject({ ...REFUSED, message: expect.stringMatching(/too old/) });
    await expect(trained()).rejects.toMatchObject(REFUSED);
    expect((await platform.tables.list()).filter(({ refused }) => refused !== null)).toMatchObject([
      { table: "events/visits", refused: { ...REFUSED, message: expect.stringMatching(/up to 18.*end at 12/) } },
    ]);
    await restore("events/visits", version);
    await platform.settle();
    expect(await archived("visits")).toEqual(pushed.visits);
    await auditStates();
  });

  it("folds a correction that was not folded before it was closed once the table is restored, and serves meanwhile", async () => {
    await platform.close();
    await cp(join(folder, "online"), join(folder, "online-before"), { recursive: true });
    await open();
    await platform.correct("visits", [{ op: "retract", id: pushed.visits[0]! }]);
    await push("visits", 6);
    expect(await visitsOf("u0")).toBe(7);
    await platform.close();
    await rm(join(folder, "online"), { recursive: true });
    await cp(join(folder, "online-before"), join(folder, "online"), { recursive: true });
    await optimize("events/visits");

    await open();
    expect(await visitsOf("u0"), "as before the correction").toBe(6);
    await push("sales", 3);
    const event = { id: "late", user: "u0", at: { micros: clock.now() } };
    await expect(platform.push("visits", [event])).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringMatching(/correction at 18 of source visits waits/),
    });
    await expect(platform.correct("visits", [{ op: "retract", id: pushed.visits[1]! }])).rejects.toMatchObject(REFUSED);
    await expect(platform.forget("user", ["u1"])).rejects.toMatchObject(REFUSED);
    await platform.apply(definitions);
    expect(await ready()).toMatchObject({
      status: "ready",
      warnings: [expect.stringMatching(/source visits is refused, and the source takes no events,.*correction at 18/)],
    });
    expect((await platform.tables.list()).filter(({ refused }) => refused !== null)).toMatchObject([
      { table: "events/visits", refused: REFUSED },
    ]);
    expect(await gauge("onefold_table_refused")).toEqual({ visits: 1, sales: 0 });
    expect(await gauge("onefold_source_up")).toEqual({ visits: 0, sales: 1 });

    await restore("events/visits");
    await expect.poll(async () => await ready(), { timeout: 60_000 }).toEqual({ status: "ready" });
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(7);
    expect((await platform.push("visits", [event])).accepted).toBe(1);
    expect(await visitsOf("u0")).toBe(8);
    await platform.settle();
    expect(await gauge("onefold_source_up")).toEqual({ visits: 1, sales: 1 });
    await auditStates();
  });

  it("folds a correction behind whose append it is refused once it is restored", async () => {
    const { append } = FileEventLog.prototype;
    let mend: (() => void) | null = null;
    const spy = vi.spyOn(FileEventLog.prototype, "append").mockImplementation(async function (
      this: FileEventLog,
      ...of
    ) {
      const events = await append.apply(this, of);
      mend ??= damage("events/visits");
      return events;
    });
    try {
      await expect(platform.correct("visits", [{ op: "retract", id: pushed.visits[0]! }])).rejects.toMatchObject(
        REFUSED,
      );
    } finally {
      spy.mockRestore();
    }
    expect(await visitsOf("u0"), "as before the correction").toBe(6);
    const event = { id: "late", user: "u0", at: { micros: clock.now() } };
    await expect(platform.push("visits", [event])).rejects.toMatchObject(REFUSED);
    expect(await ready()).toMatchObject({ status: "ready", warnings: [expect.stringMatching(/takes no events/)] });
    mend!();
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(5);
    expect((await platform.push("visits", [event])).accepted).toBe(1);
    expect(await visitsOf("u0")).toBe(6);
    await platform.settle();
    await auditStates();
  });

  it("takes events and other definitions of a source whose import was cut short by it", async () => {
    const file = await historyFile();
    let mend: (() => void) | null = null;
    const onProgress = (): void => {
      mend ??= damage("events/visits");
    };
    await expect(platform.importHistory("visits", [file], { onProgress })).rejects.toMatchObject(REFUSED);
    const wider = stream("visits", {
      columns: { ...columns, page: t.string().nullable() },
      eventTime: "at",
      id: "id",
    });
    await platform.apply(definitions.map((each) => (each === visits ? wider : each)));
    const row = { id: "wide", user: "u0", at: { micros: clock.now() }, page: "p" };
    expect((await platform.push("visits", [row])).accepted).toBe(1);
    expect(await visitsOf("u0")).toBe(7);
    mend!();
    await platform.settle();
    expect(await archived("visits")).toEqual([...pushed.visits, "wide"]);
    expect(await platform.importHistory("visits", [file])).toMatchObject({ accepted: 1 });
    expect(await visitsOf("u0")).toBe(8);
  });

  it("takes no event of a source whose import may have been committed before what was in it is known", async () => {
    const file = await historyFile();
    let mend: (() => void) | null = null;
    const onProgress = ({ phase, done }: { readonly phase: string; readonly done: number }): void => {
      if (phase === "writing" && done === 1000) mend ??= damage("events/visits");
    };
    await expect(platform.importHistory("visits", [file], { onProgress })).rejects.toMatchObject(REFUSED);
    const again = { id: "h1", user: "u0", at: { micros: clock.now() } };
    await expect(platform.push("visits", [again])).rejects.toMatchObject(REFUSED);
    expect(await ready()).toMatchObject({ status: "ready", warnings: [expect.stringMatching(/takes no events/)] });
    await expect(platform.apply(definitions)).resolves.toBeDefined();
    mend!();
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(7);
    expect(await platform.push("visits", [again])).toMatchObject({ accepted: 0, duplicates: 1 });
    await platform.settle();
    await auditStates();
  });

  it("says both what an import failed by and what kept the rest of it from being taken up", async () => {
    const file = await historyFile();
    let mend: (() => void) | null = null;
    const onProgress = ({ phase, done }: { readonly phase: string; readonly done: number }): void => {
      if (phase !== "writing" || done !== 1000) return;
      mend ??= damage("events/visits");
      throw new Error("nobody listens any more");
    };
    const failed = await platform.importHistory("visits", [file], { onProgress }).then(
      () => null,
      (error: unknown) => error as Error,
    );
    expect(failed!.message).toMatch(/nobody listens any more; and what it may have left.*cannot be taken up: /);
    expect((failed!.cause as AggregateError).errors).toMatchObject([{ message: "nobody listens any more" }, REFUSED]);
    mend!();
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(7);
  });

  it("has the history of an import that failed behind its commit, whatever failed", async () => {
    const file = await historyFile();
    const onProgress = ({ phase, done }: { readonly phase: string; readonly done: number }): void => {
      if (phase === "writing" && done === 1000) throw new Error("nobody listens any more");
    };
    await expect(platform.importHistory("visits", [file], { onProgress })).rejects.toThrow("nobody listens any more");
    await expect.poll(() => visitsOf("u0"), { timeout: 60_000 }).toBe(7);
    await platform.settle();
    await auditStates();
  });
});
