import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Micros, micros, parseMicros } from "../../src/base/micros.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { type ArchiveFiles, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import { eventRelation } from "../../src/offline-store/event-relation.ts";
import { openFeatureRowTable } from "../../src/offline-store/feature-row-table.ts";
import { compactTable } from "../../src/offline-store/table-compaction.ts";
import { kindOfTable } from "../../src/offline-store/table-kinds.ts";
import { fileRelation, filesWith, rewriteFiles } from "../../src/offline-store/table-rewrite.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Value } from "../../src/schema/value.ts";
import { codeOf } from "../code-of.ts";
import { appendLive, type ArchivedEvent } from "./live-events.ts";

let engine: QueryEngine;
let root: string;
let folder: string;
let serial = 0;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-archive-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  folder = join(root, String(++serial));
});

const source: SourceDefinition = {
  kind: "stream",
  name: "clicks",
  columns: [
    { name: "user", type: { name: "string" }, nullable: false },
    { name: "page", type: { name: "int64", wide: true }, nullable: true },
    { name: "dwell", type: { name: "float64" }, nullable: true },
    { name: "seen", type: { name: "bool" }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: false },
  ],
  derived: [{ name: "long", type: { name: "bool" }, expression: { op: "literal", value: true } }],
  constraints: [],
  eventTime: "at",
  id: "user",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 0,
};

function event(offset: number): ArchivedEvent {
  const row: Value[] = [
    `u${offset}`,
    offset % 2 === 0 ? null : "9223372036854775807",
    offset === 3 ? null : offset / 2,
    offset % 3 === 0,
    offset * 10,
    true,
  ];
  return { offset, eventTime: offset * 10, knownTime: offset * 10 + 5, id: offset === 1 ? null : `u${offset}`, row };
}

const range = (from: number, to: number): ArchivedEvent[] =>
  Array.from({ length: to - from }, (_, i) => event(from + i));

async function stored(files: ArchiveFiles): Promise<Record<string, Value>[]> {
  return engine.rows(
    `SELECT * FROM ${eventRelation([...files.history, ...files.live], source.columns)} ORDER BY _offset`,
  );
}

/** A SELECT of history rows with the given known times, offsets from `first` on. */
function historySelect(first: number, knownTimes: readonly number[]): string {
  const rows = knownTimes.map(
    (time, i) =>
      `('h${time}', ${i}, 0.5, true, make_timestamptz(${time}), make_timestamptz(${time}), make_timestamptz(${time}), ${first + i}, NULL)`,
  );
  return `SELECT * FROM (VALUES ${rows.join(", ")}) t("user", page, dwell, seen, "at", _event_time, _known_time, _offset, _id)`;
}

describe("the event archive", () => {
  it("keeps live events as they were, once, whatever is handed over again", async () => {
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    expect(await archive.files()).toMatchObject({
      epoch: 0,
      liveEnd: 0,
      historyEnd: HISTORY_BASE,
      lastKnownTime: Number.NEGATIVE_INFINITY,
    });
    await appendLive(archive, range(0, 5));
    await appendLive(archive, range(0, 5));
    const again = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    await appendLive(again, range(3, 8));
    await appendLive(again, []);
    const files = await archive.files();
    expect(files).toMatchObject({ epoch: 0, liveEnd: 8, lastKnownTime: 75 });
    expect(await stored(files)).toEqual(
      range(0, 8).map(({ offset, eventTime, knownTime, id, row }) => ({
        user: row[0],
        page: row[1] === null ? null : "9223372036854775807",
        dwell: row[2],
        seen: row[3],
        at: row[4],
        _event_time: eventTime,
        _known_time: knownTime,
        _offset: offset,
        _id: id,
      })),
    );
    await expect(appendLive(archive, range(9, 10))).rejects.toThrow(/without gaps/);
  });

  it("arranges history in epochs and keeps the earlier ones readable", async () => {
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    let files = await archive.files();
    files = await archive.appendHistory(files, {
      engine,
      select: historySelect(HISTORY_BASE, [1, 2]),
      firstKnownTime: 1,
      lastKnownTime: 2,
    });
    expect(files).toMatchObject({ epoch: 0, historyEnd: HISTORY_BASE + 2, lastHistoryKnownTime: 2 });
    files = await archive.appendHistory(files, {
      engine,
      select: historySelect(HISTORY_BASE + 2, [4]),
      firstKnownTime: 4,
      lastKnownTime: 4,
    });
    await appendLive(archive, range(0, 3));
    const earlier = files;
    files = await archive.replaceHistory(await archive.files(), {
      engine,
      select: historySelect(HISTORY_BASE, [1, 2, 3, 4]),
      firstKnownTime: 1,
      lastKnownTime: 4,
    });
    expect(files).toMatchObject({ epoch: 1, historyEnd: HISTORY_BASE + 4, liveEnd: 3, lastKnownTime: 25 });
    expect((await stored(files)).map((row) => row["user"])).toEqual(["h1", "h2", "h3", "h4", "u0", "u1", "u2"]);

    const reopened = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    await appendLive(reopened, range(3, 4));
    const before = await reopened.files(0);
    expect(before).toMatchObject({ epoch: 0, historyEnd: HISTORY_BASE + 3, liveEnd: 4, lastHistoryKnownTime: 4 });
    expect((await stored(before)).map((row) => row["user"])).toEqual(["h1", "h2", "h4", "u0", "u1", "u2", "u3"]);
    expect(await codeOf(reopened.files(2))).toBe("EPOCH_UNKNOWN");
    const outdated = { engine, select: historySelect(HISTORY_BASE + 3, [5]), firstKnownTime: 5, lastKnownTime: 5 };
    expect(await codeOf(reopened.appendHistory(earlier, outdated))).toBe("TABLE_CONFLICT");
    expect(await codeOf(reopened.replaceHistory(earlier, outdated))).toBe("TABLE_CONFLICT");
  });

  it("is refused where another engine has rewritten its files, which drops what they are of", async () => {
    const store = openOfflineStore(folder, engine);
    const archive = await openEventArchive(store, engine, source);
    for (let i = 0; i < 3; i++) await appendLive(archive, range(i * 2, i * 2 + 2));
    const table = (await store.find("events/clicks"))!;
    const { files } = await table.snapshot();
    // As an optimize of another engine: the same rows, and no tags.
    await rewriteFiles(table, engine, {
      operation: "OPTIMIZE",
      dataChange: false,
      plan: async () => [
        { files: files.slice(1), select: `SELECT * FROM ${eventRelation(files.slice(1), source.columns)}`, tags: {} },
      ],
    });
    const reopened = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    await expect(reopened.files()).rejects.toMatchObject({
      code: "TABLE_INVALID",
      message: "an event table has a file that another engine has written",
    });
    expect(await codeOf(appendLive(reopened, range(6, 8)))).toBe("TABLE_INVALID");
    const kind = kindOfTable((await table.snapshot()).schema)!;
    expect((await compactTable(table, engine, kind, 2)).replaced, "its files are left alone").toEqual([]);
  });

  it("joins small live files without changing an event", async () => {
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    let filesMax = 0;
    for (let i = 0; i < 60; i++) {
      await appendLive(archive, range(i * 2, i * 2 + 2));
      filesMax = Math.max(filesMax, (await archive.files()).live.length);
    }
    const reopened = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    const files = await reopened.files();
    expect(filesMax).toBeLessThan(24);
    expect(files).toMatchObject({ liveEnd: 120, lastKnownTime: 119 * 10 + 5 });
    const rows = await stored(files);
    expect(rows.map((row) => row["_offset"])).toEqual(range(0, 120).map(({ offset }) => offset));
    expect(rows.map((row) => row["dwell"])).toEqual(range(0, 120).map(({ row }) => row[2]));
    expect(files.live.map((file) => Number(file.tags["firstOffset"]))[0]).toBe(0);
  });

  it("lies in a folder for each month, in which a file's tags are of its own events", async () => {
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    const january = parseMicros("2001-01-31T23:59:59.999998Z");
    const events = range(0, 5).map((each) => ({ ...each, knownTime: january + each.offset }));
    await appendLive(archive, events);
    const { live } = await archive.files();
    expect(live.map(({ partition, rows, tags }) => [partition, rows, tags])).toEqual([
      [
        { _month: "2001-01" },
        2,
        {
          segment: "live",
          firstOffset: "0",
          endOffset: "2",
          firstKnownTime: `${january}`,
          lastKnownTime: `${january + 1}`,
        },
      ],
      [
        { _month: "2001-02" },
        3,
        {
          segment: "live",
          firstOffset: "2",
          endOffset: "5",
          firstKnownTime: `${january + 2}`,
          lastKnownTime: `${january + 4}`,
        },
      ],
    ]);
    expect(live.map(({ path }) => path.split("/").at(-2))).toEqual(["_month=2001-01", "_month=2001-02"]);
    expect((await stored(await archive.files())).map((row) => row["_known_time"])).toEqual(
      events.map(({ knownTime }) => knownTime),
    );
  });

  it("goes on in a table without partitions that an earlier version made", async () => {
    const columns = (await openEventArchive(openOfflineStore(`${folder}-new`, engine), engine, source)).columns;
    await openOfflineStore(folder, engine).table("events/clicks", { columns });
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, source);
    await appendLive(archive, range(0, 3));
    const files = await archive.files();
    expect(files.live.map(({ path, partition }) => [path.split("/").at(-2), partition])).toEqual([["clicks", {}]]);
    expect((await stored(files)).map((row) => row["_offset"])).toEqual([0, 1, 2]);
  });

  it("keeps what an epoch meant when its files are joined or written anew, then and later", async () => {
    const store = openOfflineStore(folder, engine);
    const archive = await openEventArchive(store, engine, source);
    let files = await archive.files();
    for (let i = 0; i < 4; i++) {
      const times = [10 * i + 1, 10 * i + 2];
      files = await archive.appendHistory(files, {
        engine,
        select: historySelect(HISTORY_BASE + 2 * i, times),
        firstKnownTime: times[0]!,
        lastKnownTime: times[1]!,
      });
    }
    const table = (await store.find("events/clicks"))!;
    const kind = kindOfTable((await table.snapshot()).schema)!;
    const users = async (epoch: number): Promise<unknown[]> =>
      (await stored(await archive.files(epoch))).map((row) => row["user"]);
    const all = ["h1", "h2", "h11", "h12", "h21", "h22", "h31", "h32"];
    expect((await compactTable(table, engine, kind, 2)).replaced).toHaveLength(4);
    expect(await archive.files()).toMatchObject({ historyEnd: HISTORY_BASE + 8, lastHistoryKnownTime: 32 });
    expect(await users(0)).toEqual(all);
    // One event is taken out: its offset stays taken.
    await rewriteFiles(table, engine, {
      operation: "FORGET",
      plan: async (snapshot) =>
        (await filesWith(engine, snapshot.files, `"user" = 'h11'`)).map((file) => ({
          files: [file],
          select: `SELECT * FROM ${fileRelation(file)} WHERE "user" <> 'h11'`,
        })),
    });
    files = await archive.files();
    expect(files).toMatchObject({ historyEnd: HISTORY_BASE + 8 });
    expect(files.history.map(({ rows }) => rows)).toEqual([8]);
    files = await archive.replaceHistory(files, {
      engine,
      select: historySelect(HISTORY_BASE, [1, 5]),
      firstKnownTime: 1,
      lastKnownTime: 5,
    });
    const without = all.filter((user) => user !== "h11");
    expect([await users(0), await users(1)]).toEqual([without, ["h1", "h5"]]);
    // And out of an epoch that is over.
    await rewriteFiles(table, engine, {
      operation: "FORGET",
      plan: async ({ removed }) =>
        removed.map((file) => ({
          files: [file],
          select: `SELECT * FROM ${fileRelation(file)} WHERE "user" <> 'h2'`,
        })),
    });
    expect([await users(0), await users(1)]).toEqual([without.filter((user) => user !== "h2"), ["h1", "h5"]]);
    expect(await archive.files(0)).toMatchObject({ historyEnd: HISTORY_BASE + 8 });
  });

  it("gains the columns its source gains", async () => {
    await appendLive(await openEventArchive(openOfflineStore(folder, engine), engine, source), range(0, 2));
    const wider = {
      ...source,
      columns: [...source.columns, { name: "note", type: { name: "string" } as const, nullable: true }],
    };
    const archive = await openEventArchive(openOfflineStore(folder, engine), engine, wider);
    await appendLive(archive, [{ ...event(2), row: ["u2", null, 1, true, 20, "hello"] }]);
    const files = await archive.files();
    const rows = await engine.rows(
      `SELECT note, _offset FROM ${eventRelation(files.live, wider.columns)} ORDER BY _offset`,
    );
    expect(rows.map((row) => row["note"])).toEqual([null, null, "hello"]);
  });
});

describe("the feature row table", () => {
  const entity: EntityDefinition = {
    kind: "entity",
    name: "visit",
    keys: [
      { name: "user", type: { name: "string" } },
      { name: "page", type: { name: "int64" } },
    ],
  };
  const view: ViewDefinition = {
    kind: "view",
    name: "visits",
    version: 2,
    entity: "visit",
    source: "clicks",
    key: ["user", "page"],
    features: [
      { name: "clicks_1h", type: { name: "int64" }, aggregation: { fn: "count" } },
      { name: "last_note", type: { name: "string" }, aggregation: { fn: "last", column: "user" } },
      { name: "last_at", type: { name: "timestamp" }, aggregation: { fn: "last", column: "at" } },
      { name: "long", type: { name: "bool" }, aggregation: { fn: "last", column: "seen" } },
    ],
    online: true,
    offline: true,
    freshness: "real-time",
    exactEvents: 128,
  };

  it("joins its small files as they add up, a month's with that month's, without changing a row", async () => {
    const store = openOfflineStore(folder, engine);
    const rows = await openFeatureRowTable(store, engine, view, entity);
    const april = parseMicros("2001-04-01T00:00:00Z");
    const minuteOf = (i: number): Micros => micros(april + (i - 30) * 60_000_000);
    for (let i = 0; i < 60; i++) {
      await rows.append([[{ key: [`u${i}`, i], minute: minuteOf(i), epoch: 0, values: [i, "x", 1, null] }]], i);
    }
    const { files } = await rows.table.snapshot();
    const counts = new Map<string, number>();
    for (const { partition } of files) counts.set(partition!["_month"]!, (counts.get(partition!["_month"]!) ?? 0) + 1);
    expect([...counts.keys()].toSorted()).toEqual(["2001-03", "2001-04"]);
    // Thirty files a month: 24 became one.
    expect(Math.max(...counts.values())).toBeLessThan(24);
    const paths = files.map(({ path }) => sqlText(path)).join(", ");
    const found = await engine.rows(`SELECT page, _minute, _month FROM read_parquet([${paths}]) ORDER BY page`);
    expect(found).toEqual(
      Array.from({ length: 60 }, (_, i) => ({
        page: i,
        _minute: minuteOf(i),
        _month: i < 30 ? "2001-03" : "2001-04",
      })),
    );
    expect(await rows.lastSequence()).toBe(59);
  });

  it("batch feature read: what was appended comes back once, as a table other engines read", async () => {
    const store = openOfflineStore(folder, engine);
    const rows = await openFeatureRowTable(store, engine, view, entity);
    expect(await rows.lastSequence()).toBe(-1);
    const minute = (n: number) => (n * 60_000_000) as never;
    await rows.append([[{ key: ["a|b", 7], minute: minute(1), epoch: 0, values: [3, "x", 61_000_001, true] }]], 4);
    await rows.append([[{ key: ["again", 7], minute: minute(1), epoch: 0, values: [9, "x", 1, true] }]], 4);
    await rows.append([], 6);
    const reopened = await openFeatureRowTable(openOfflineStore(folder, engine), engine, view, entity);
    expect(await reopened.lastSequence()).toBe(6);
    await reopened.append([[{ key: ["c", -1], minute: minute(2), epoch: 1, values: [0, null, null, null] }]], 9);
    const { files } = await reopened.table.snapshot();
    const paths = files.map(({ path }) => sqlText(path)).join(", ");
    expect(await engine.rows(`SELECT * FROM read_parquet([${paths}]) ORDER BY _minute`)).toEqual([
      {
        _month: "1970-01",
        user: "a|b",
        page: 7,
        _minute: 60_000_000,
        _epoch: 0,
        clicks_1h: 3,
        last_note: "x",
        last_at: 61_000_001,
        long: true,
      },
      {
        _month: "1970-01",
        user: "c",
        page: -1,
        _minute: 120_000_000,
        _epoch: 1,
        clicks_1h: 0,
        last_note: null,
        last_at: null,
        long: null,
      },
    ]);
  });
});
