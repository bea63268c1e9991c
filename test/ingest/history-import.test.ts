import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { isOnefoldError } from "../../src/base/errors.ts";
import { formatMicros, parseMicros, type Micros } from "../../src/base/micros.ts";
import { type EntityDefinition, type StreamDefinition, type ViewDefinition } from "../../src/define/definition.ts";
import { type Expression } from "../../src/define/expression.ts";
import { type NewDeadLetter } from "../../src/ingest/dead-letters.ts";
import { compileDoor, type DoorView } from "../../src/ingest/door.ts";
import { type EventLog } from "../../src/ingest/event-log.ts";
import { type LogEvent } from "../../src/ingest/event.ts";
import { importHistory, type HistoryImport, type ImportResult } from "../../src/ingest/history-import.ts";
import { type ArchiveFiles, type HistoryArchive, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText, type QueryEngine } from "../../src/offline-store/engine.ts";
import { eventRelation } from "../../src/offline-store/event-reader.ts";
import { diskTableStorage } from "../../src/offline-store/table-storage.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import { type Column, type Value } from "../../src/schema/value.ts";
import { readRowFile } from "../../src/ingest/row-file.ts";

let engine: QueryEngine;
let root: string;
let folder: string;
let serial = 0;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-import-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  folder = join(root, String(++serial));
});

const NOW = parseMicros("2026-06-01T00:00:00Z");
const column = (name: string): Expression => ({ op: "column", name });
const literal = (value: Value): Expression => ({ op: "literal", value });

const columns: Column[] = [
  { name: "key", type: { name: "string" }, nullable: false },
  { name: "number", type: { name: "int64" }, nullable: true },
  { name: "wide", type: { name: "int64", wide: true }, nullable: true },
  { name: "amount", type: { name: "float64" }, nullable: true },
  { name: "flag", type: { name: "bool" }, nullable: true },
  { name: "data", type: { name: "bytes" }, nullable: true },
  { name: "list", type: { name: "array", element: { name: "float64" } }, nullable: true },
  { name: "at", type: { name: "timestamp" }, nullable: false },
];

const source: StreamDefinition = {
  kind: "stream",
  name: "orders",
  columns,
  derived: [
    { name: "doubled", type: { name: "int64" }, expression: { op: "multiply", left: column("number"), right: literal(2) } },
    { name: "evening", type: { name: "bool" }, expression: { op: "gte", left: { op: "hour", input: column("at") }, right: literal(18) } },
  ],
  constraints: [
    {
      name: "plausible",
      predicate: {
        op: "or",
        left: { op: "isNull", input: column("doubled") },
        right: { op: "and", left: { op: "gte", left: column("doubled"), right: literal(-90) }, right: { op: "not", input: { op: "eq", left: column("key"), right: literal("bad") } } },
      },
    },
  ],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 1_000_000,
};

const entity: EntityDefinition = { kind: "entity", name: "customer", keys: [{ name: "key", type: { name: "string" } }] };
const view: ViewDefinition = {
  kind: "view", name: "customers", version: 1, entity: "customer", source: "orders", key: ["key"], features: [],
  online: true, offline: true, freshness: "real-time", exactEvents: 128,
};
const views: DoorView[] = [{ definition: view, entity }];

/** A log that holds the given events and takes no more. */
function logOf(events: readonly LogEvent[]): EventLog {
  return {
    nextOffset: events.length,
    lastKnownTime: events.at(-1)?.knownTime ?? Number.NEGATIVE_INFINITY,
    append: () => Promise.reject(new Error("a log of the past")),
    async *read(from) {
      yield events.filter(({ offset }) => offset >= from);
    },
    close: () => Promise.resolve(),
  };
}

interface Imported {
  readonly result: ImportResult;
  readonly letters: readonly NewDeadLetter[];
}

async function openArchive(of: StreamDefinition = source): Promise<HistoryArchive> {
  return openEventArchive(openOfflineStore(folder, engine), engine, of);
}

async function importFiles(archive: HistoryArchive, files: readonly string[], more: Partial<HistoryImport> = {}): Promise<Imported> {
  const letters: NewDeadLetter[] = [];
  const result = await importHistory({
    source, views, files, archive, log: null, engine, clock: new ReplayClock(NOW),
    deadLetters: { add: async (some) => letters.push(...some) },
    ...more,
  });
  return { result, letters };
}

let fileSerial = 0;
async function write(ending: string, text: string): Promise<string> {
  const path = join(root, `rows-${++fileSerial}.${ending}`);
  await writeFile(path, text);
  return path;
}

async function historyOf(files: ArchiveFiles, of: StreamDefinition = source): Promise<Record<string, Value>[]> {
  return engine.rows(`SELECT * FROM ${eventRelation(files.history, of.columns)} ORDER BY _offset`);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  return isOnefoldError(error) ? error.code : String(error);
}

/** What the door makes of rows one by one: the result an import must reach, however much of it SQL did. */
function throughDoor(rows: readonly unknown[]): { accepted: { row: readonly Value[]; eventTime: number }[]; codes: string[] } {
  const door = compileDoor(source, views);
  const accepted: { row: readonly Value[]; eventTime: number }[] = [];
  const codes: string[] = [];
  for (const row of rows) {
    try {
      const checked = door.check(row, Number.MAX_SAFE_INTEGER as Micros);
      if (checked.eventTime + source.availableAfterMicros > NOW + source.maxFutureMicros) codes.push("EVENT_TOO_FAR_AHEAD");
      else accepted.push({ row: checked.row.slice(0, columns.length), eventTime: checked.eventTime });
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      codes.push(error.code);
    }
  }
  // Array.prototype.toSorted is stable: rows of one known time keep the file's order.
  return { accepted: accepted.toSorted((a, b) => a.eventTime - b.eventTime), codes: codes.toSorted() };
}

/** Values as the table shows them, bit for bit: NaN, -0 and bytes included. */
function shown(value: Value): unknown {
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Uint8Array) return [...value].join(",");
  return Array.isArray(value) ? value.map(shown) : value;
}

async function expectLikeDoor(path: string, rows: readonly unknown[]): Promise<void> {
  const archive = await openArchive();
  const { result, letters } = await importFiles(archive, [path]);
  const expected = throughDoor(rows);
  const stored = await historyOf(result.after);
  expect(stored.map((row) => columns.map(({ name }) => shown(row[name]!)))).toEqual(
    expected.accepted.map(({ row }) => row.map((value, c) => (columns[c]!.name === "wide" && value !== null && Number.isSafeInteger(Number(value)) ? Number(value) : shown(value)))),
  );
  expect(stored.map((row) => [row["_event_time"], row["_known_time"], row["_offset"]])).toEqual(
    expected.accepted.map(({ eventTime }, i) => [eventTime, eventTime + source.availableAfterMicros, HISTORY_BASE + i]),
  );
  expect(letters.map(({ code }) => code).toSorted()).toEqual(expected.codes);
  expect(result).toMatchObject({ rows: rows.length, accepted: expected.accepted.length, rejected: expected.codes.length, duplicates: 0 });
}

const goodTime = fc.integer({ min: 9.4e14, max: 9.8e14 }).map((micros) => formatMicros(micros as Micros));
const oddTime = fc.constantFrom(
  "2001-01-01", "2001-01-01 12:30", "2001-01-01T24:00:00Z", "2001-02-30T00:00:00Z", "2001-01-01T00:00:00.1234567Z", "2001-01-01T12:00:00+02:00",
  "2001-01-01T00:00:60Z", "1500-01-01", "2300-01-01T00:00:00Z", "0001-01-01", "0099-12-31T00:00:00Z", "infinity", "now", "epoch", "2026-06-01T00:00:30Z", "2026-06-01T00:02:00Z", "", " 2001-01-01 ",
);
const key = fc.oneof({ weight: 8, arbitrary: fc.constantFrom("a", "b|c", "ä\\", "日本", "'") }, fc.constantFrom("", "bad", "x".repeat(1024), "ä".repeat(600), "\u0000", "a\nb", '"q",'));

describe("an import lets in exactly what the door lets in", () => {
  it("from NDJSON", async () => {
    const rare = <T>(good: fc.Arbitrary<T>, ...odd: unknown[]): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(null, undefined, "text", "12", 7, -1.5, true, [], [1, null], {}, { micros: 5 }, { micros: 9e14 }, ...odd) });
    const row = fc.record({
      key: rare(key, "\ud83d\ude00"),
      number: rare(fc.integer({ min: -60, max: 1000 }), 9007199254740993, -46, 4503599627370496, 1e21, 1.0, -0, 2.5, "9007199254740993", "-0"),
      wide: rare(fc.maxSafeInteger(), "9223372036854775807", "9223372036854775808", 9007199254740992, "007"),
      amount: rare(fc.double({ noNaN: true, noDefaultInfinity: true }), "NaN", "Infinity", -0, 5e-324, 1.7976931348623157e308, 123456789012345680000),
      flag: rare(fc.boolean(), "true", 0),
      data: rare(fc.base64String({ maxLength: 12 }), "_-8=", "!!"),
      list: rare(fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })), { maxLength: 3 }), ["x"], [[1]]),
      at: fc.oneof({ weight: 8, arbitrary: goodTime }, { weight: 2, arbitrary: oddTime }, { weight: 1, arbitrary: fc.constantFrom(null, undefined, 5, { micros: 978307200000000 }, { millis: 978307200000.5 }) }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 60 }), async (rows) => {
        folder = join(root, String(++serial));
        const lines = rows.map((one) => JSON.stringify(one)).map((line) => line.replaceAll(":0,", () => (line.length % 3 === 0 ? ":-0.0," : ":0,")));
        const path = await write("ndjson", lines.join("\n"));
        await expectLikeDoor(path, lines.map((line) => JSON.parse(line) as unknown));
      }),
      { numRuns: 150 },
    );
  });

  it("from CSV", async () => {
    const mostly = (good: fc.Arbitrary<string>, ...odd: string[]): fc.Arbitrary<string> =>
      fc.oneof({ weight: 8, arbitrary: good }, { weight: 2, arbitrary: fc.constantFrom("", "x", "0", "-0", "1.0", "true", "NaN", "inf", "1_000", " 1", "+1", "0x10", "1e3", ...odd) });
    const cells = fc.tuple(
      mostly(key),
      mostly(fc.integer({ min: -60, max: 1000 }).map(String), "9007199254740993", "007", "-46"),
      mostly(fc.maxSafeInteger().map(String), "9223372036854775807", "9223372036854775808"),
      mostly(fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), "1.", ".5", "1e400", "-0.0", "0.1000000000000000055511151231257827021181583404541015625"),
      mostly(fc.constantFrom("true", "false"), "TRUE", "t"),
      mostly(fc.base64String({ maxLength: 12 })),
      mostly(fc.constantFrom("[]", "[1,2.5]", "[null]"), "[", "[\"x\"]"),
      fc.oneof({ weight: 8, arbitrary: goodTime }, { weight: 2, arbitrary: oddTime }),
    );
    const quoted = (cell: string): string => (/[",\n\s]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    await fc.assert(
      fc.asyncProperty(fc.array(cells, { minLength: 1, maxLength: 60 }), async (rows) => {
        folder = join(root, String(++serial));
        const clean = rows.map((row) => row.map((cell) => cell.replaceAll("\0", "")));
        const lines = [columns.map(({ name }) => name), ...clean].map((row) => row.map(quoted).join(","));
        const path = await write("csv", `${lines.join("\n")}\n`);
        await expectLikeDoor(path, await rowsOf(path));
      }),
      { numRuns: 100 },
    );
  });

  it("from Parquet, whatever types its columns have", async () => {
    const types: Record<string, string[]> = {
      key: ["VARCHAR", "BLOB", "BIGINT"],
      number: ["BIGINT", "INTEGER", "DOUBLE", "UBIGINT", "VARCHAR", "DECIMAL(18,2)"],
      wide: ["BIGINT", "UBIGINT", "VARCHAR"],
      amount: ["DOUBLE", "FLOAT", "BIGINT", "DECIMAL(18,3)", "VARCHAR"],
      flag: ["BOOLEAN", "INTEGER"],
      data: ["BLOB", "VARCHAR"],
      list: ["DOUBLE[]", "BIGINT[]", "VARCHAR[]"],
      at: ["TIMESTAMPTZ", "TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_S", "TIMESTAMP_NS", "DATE"],
    };
    const cellsOf = (type: string): string[] => {
      if (type.endsWith("[]")) return ["NULL", "[]", "[1, NULL, -0.0]", ...(type === "DOUBLE[]" ? ["['nan'::DOUBLE]"] : [])];
      if (/^(TIME|DATE)/.test(type)) {
        const times = ["'2001-01-01 12:00:00'", "'2026-05-31 23:59:00'", "'2026-06-01 00:00:30'", "'2030-01-01'", "'1677-10-01'", "NULL", ...(/_M?S$/.test(type) ? [] : ["'infinity'"])];
        return type === "TIMESTAMP_NS" ? ["'2001-01-01 00:00:00.123456'", "'2001-01-01 00:00:00.123456789'", "NULL"] : times;
      }
      if (type === "DOUBLE" || type === "FLOAT") return ["0.1", "-0.0", "'nan'", "'inf'", "9007199254740993", "2.5", "3", "NULL"];
      if (type === "VARCHAR") return ["'a'", "'12'", "'2.5'", "''", "'bad'", "repeat('ä', 600)", "NULL"];
      if (type === "BLOB") return ["'\\x00\\xFF'", "'abc'", "NULL"];
      if (type === "BOOLEAN") return ["true", "false", "NULL"];
      if (type === "UBIGINT") return ["0", "9007199254740991", "9007199254740992", "18446744073709551615", "NULL"];
      if (type === "BIGINT") return ["-46", "-45", "0", "9007199254740992", "-9223372036854775808", "NULL"];
      return ["-46", "7", "0", "NULL"];
    };
    const column = (name: string) =>
      fc.constantFrom(types[name]![0]!, ...types[name]!).chain((type) =>
        fc.array(fc.constantFrom(...cellsOf(type)), { minLength: 30, maxLength: 30 }).map((cells) => ({ type, cells })),
      );
    await fc.assert(
      fc.asyncProperty(fc.tuple(...columns.map(({ name }) => column(name))), async (drawn) => {
        folder = join(root, String(++serial));
        const path = join(root, `rows-${++fileSerial}.parquet`);
        const rows = drawn[0]!.cells.map((_, i) => `SELECT ${drawn.map(({ type, cells }, c) => `${/^-?\d+(\.\d+)?$/.test(cells[i]!) ? `'${cells[i]}'` : cells[i]}::${type} AS "${columns[c]!.name}"`).join(", ")}`);
        await engine.run(`COPY (${rows.join(" UNION ALL ")}) TO ${sqlText(path)} (FORMAT parquet)`);
        const archive = await openArchive();
        const { result, letters } = await importFiles(archive, [path]);
        // Each accepted row must pass the door with the very values that were stored.
        const stored = await historyOf(result.after);
        const asRows = stored.map((row) => Object.fromEntries(columns.map(({ name, type }) => [name, type.name === "timestamp" ? { micros: row[name] } : row[name]])));
        expect(throughDoor(asRows).codes).toEqual([]);
        for (const row of stored) expect(shown(row["amount"]!)).not.toBe("-0");
        expect(result.accepted + letters.length).toBe(30);
      }),
      { numRuns: 100 },
    );
  });
});

/** Rows of a CSV file as `ingest` would push them. */
async function rowsOf(path: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  const described = columns.map(({ name, type }) => ({ name, type: type.name === "array" ? "array<float64>" : type.name }));
  for await (const batch of readRowFile({ path, columns: described as never, rowsPerBatch: 100, openEngine: () => openDuckDb({ threads: 1 }) })) rows.push(...batch);
  return rows;
}

/** NDJSON rows at whole seconds after 2001-01-01, keys telling them apart. */
function seconds(prefix: string, ...at: number[]): string {
  return at.map((second, i) => JSON.stringify({ key: `${prefix}${i}`, number: second, at: formatMicros(timeOf(second)) })).join("\n");
}
const START = parseMicros("2001-01-01T00:00:00Z");
const timeOf = (second: number): Micros => (START + second * 1e6) as Micros;

async function keysOf(files: ArchiveFiles): Promise<Value[]> {
  return (await historyOf(files)).map((row) => row["key"]!);
}

function liveEvent(offset: number, second: number, id: string | null = null): LogEvent {
  const row: Value[] = [`live${offset}`, null, null, null, null, null, null, timeOf(second)];
  return { offset, eventTime: timeOf(second), knownTime: timeOf(second), id, row };
}

describe("where imported history goes", () => {
  it("is behind the history that is there, in the same epoch, while nothing is live", async () => {
    const archive = await openArchive();
    const first = await importFiles(archive, [await write("ndjson", seconds("a", 3, 1, 2, 1))]);
    expect(first.result).toMatchObject({ accepted: 4, epochOpened: false, epoch: 0 });
    expect(await keysOf(first.result.after)).toEqual(["a1", "a3", "a2", "a0"]);
    const second = await importFiles(archive, [await write("jsonl", seconds("b", 4, 3))]);
    expect(second.result).toMatchObject({ epochOpened: false, epoch: 0 });
    expect(await keysOf(second.result.after)).toEqual(["a1", "a3", "a2", "a0", "b1", "b0"]);
    expect(second.result.after.historyEnd).toBe(HISTORY_BASE + 6);
    expect((await historyOf(second.result.after)).map((row) => row["_offset"])).toEqual([0, 1, 2, 3, 4, 5].map((i) => HISTORY_BASE + i));
  });

  it("is among earlier history in a new epoch, which leaves the old one as it was", async () => {
    const archive = await openArchive();
    await importFiles(archive, [await write("ndjson", seconds("a", 1, 5))]);
    const { result } = await importFiles(archive, [await write("ndjson", seconds("b", 5, 3))]);
    expect(result).toMatchObject({ epochOpened: true, epoch: 1 });
    expect(await keysOf(result.after)).toEqual(["a0", "b1", "a1", "b0"]);
    expect(await keysOf(await archive.files(0))).toEqual(["a0", "a1"]);
  });

  it("is in front of live events, and never behind them", async () => {
    const archive = await openArchive();
    const log = logOf([liveEvent(0, 100), liveEvent(1, 101)]);
    const before = await importFiles(archive, [await write("ndjson", seconds("a", 98, 99))], { log });
    expect(before.result).toMatchObject({ epochOpened: true, epoch: 1 });
    const late = await write("ndjson", seconds("b", 50, 100));
    expect(await codeOf(importFiles(archive, [late], { log }))).toBe("HISTORY_AFTER_LIVE");
    await archive.appendLive([liveEvent(0, 100)]);
    expect(await codeOf(importFiles(archive, [late]))).toBe("HISTORY_AFTER_LIVE");
    expect(await keysOf(await archive.files())).toEqual(["a0", "a1"]);
  });

  it("follows the declared known time, several files, globs and renamed columns", async () => {
    const archive = await openArchive();
    const name = `globbed-${++fileSerial}`;
    const csv = (rows: string): string => `who,at,seen,extra\n${rows}\n`;
    await writeFile(join(root, `${name}-1.csv`), csv("one,2001-01-01T00:00:00Z,2001-01-03T00:00:00Z,x\ntwo,2001-01-02,2001-01-02,x"));
    await writeFile(join(root, `${name}-2.csv`), csv("three,2001-01-01,2001-01-02,x\nfour,2001-01-04,2001-01-03T12:00:00Z,x\nfive,2001-01-04,,x"));
    const progress: string[] = [];
    const { result, letters } = await importFiles(archive, [join(root, `${name}-*.csv`)], {
      knownTimeColumn: "seen",
      columnMap: { key: "who" },
      onProgress: ({ phase, done, total }) => progress.push(`${phase} ${done}/${total}`),
    });
    expect(await keysOf(result.after)).toEqual(["two", "three", "one"]);
    expect((await historyOf(result.after))[2]).toMatchObject({ _event_time: START, _known_time: parseMicros("2001-01-03T00:00:00Z") });
    expect(result.ignoredColumns).toEqual(["extra"]);
    expect(letters.map(({ code, message }) => [code, /globbed-\d+-2\.csv, row \d/.test(message)])).toEqual([
      ["EVENT_TOO_FAR_AHEAD", true],
      ["NULL_NOT_ALLOWED", true],
    ]);
    expect(progress.at(0)).toBe("reading 0/2");
    expect(progress.at(-1)).toBe("writing 1000/1000");
  });

  it("leaves out ids that came earlier: in the import, in the archive, in the log", async () => {
    const identified: StreamDefinition = { ...source, id: "key" };
    const archive = await openArchive(identified);
    const more = { source: identified };
    await importFiles(archive, [await write("ndjson", seconds("a", 1, 2))], more);
    const rows = [["a0", 9], ["new", 8], ["new", 7], ["new", 7], ["live", 6], ["other", 5]] as const;
    const text = rows.map(([id, second], i) => JSON.stringify({ key: id, number: i, at: formatMicros(timeOf(second)) })).join("\n");
    const { result } = await importFiles(archive, [await write("ndjson", text)], { ...more, log: logOf([liveEvent(0, 50, "live")]) });
    expect(result).toMatchObject({ rows: 6, accepted: 2, duplicates: 4, rejected: 0 });
    const stored = await historyOf(result.after, identified);
    expect(stored.map((row) => [row["key"], row["number"], row["_id"]])).toEqual([
      ["a0", 1, "a0"], ["a1", 2, "a1"], ["other", 5, "other"], ["new", 2, "new"],
    ]);
    const again = await importFiles(archive, [await write("ndjson", text)], more);
    expect(again.result).toMatchObject({ accepted: 1, epochOpened: true });
  });
});

describe("an import that cannot be done", () => {
  it("says which file is unreadable, and imports nothing", async () => {
    const archive = await openArchive();
    const good = await write("ndjson", seconds("a", 1));
    const cut = join(root, `cut-${++fileSerial}.parquet`);
    await engine.run(`COPY (SELECT 'k' || i AS key, TIMESTAMPTZ '2001-01-01' AS at FROM range(10000) t(i)) TO ${sqlText(cut)} (FORMAT parquet)`);
    await truncate(cut, 5000);
    const unreadable = [
      cut,
      join(root, "absent-*.csv"),
      await write("parquet", "PAR1"),
      await write("ndjson", `${seconds("b", 1)}\n{"key": "torn`),
      await write("csv", 'key,at\n"torn,2001-01-01\n'),
      await write("xlsx", "?"),
    ];
    for (const path of unreadable) expect([path, await codeOf(importFiles(archive, [good, path]))]).toEqual([path, "FILE_UNREADABLE"]);
    expect(await codeOf(importFiles(archive, [good, await write("csv", "at,number\n2001-01-01,1\n")]))).toBe("FILE_COLUMN_MISSING");
    expect((await archive.files()).history).toEqual([]);
    const empty = await importFiles(archive, [await write("csv", "key,at\n")]);
    expect(empty.result).toMatchObject({ rows: 0, accepted: 0, epochOpened: false });
    expect(await engine.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'import_%'")).toEqual([]);
  });

  it("leaves all or nothing behind a crash at any write, and the same dead letters when repeated", async () => {
    const bad = JSON.stringify({ key: null, at: "2001-01-01" });
    const path = await write("ndjson", `${seconds("b", 3, 2)}\n${bad}`);
    for (let failAt = 0; ; failAt++) {
      folder = join(root, String(++serial));
      await importFiles(await openArchive(), [await write("ndjson", seconds("a", 1, 5))]);
      let writes = 0;
      const crashing = <A extends unknown[], R>(operation: (...args: A) => Promise<R>) => async (...args: A): Promise<R> => {
        if (writes++ >= failAt) throw new Error("power cut");
        return operation(...args);
      };
      const storage = {
        ...diskTableStorage,
        putIfAbsent: crashing(diskTableStorage.putIfAbsent),
        publish: crashing(diskTableStorage.publish),
        makeFolder: crashing(diskTableStorage.makeFolder),
      };
      const crashed = await openEventArchive(openOfflineStore(folder, engine, storage), engine, source);
      const letters: string[] = [];
      const deadLetters = { add: async (some: readonly NewDeadLetter[]) => letters.push(...some.map(({ id }) => id!)) };
      const outcome = await codeOf(importFiles(crashed, [path], { deadLetters }));
      const archive = await openArchive();
      expect(await keysOf(await archive.files())).toEqual(outcome === "no error" ? ["a0", "b1", "b0", "a1"] : ["a0", "a1"]);
      if (outcome === "no error") break;
      await importFiles(archive, [path], { deadLetters });
      expect(await keysOf(await archive.files())).toEqual(["a0", "b1", "b0", "a1"]);
      expect(new Set(letters).size).toBe(1);
      expect(letters).toHaveLength(2);
    }
  });
});
