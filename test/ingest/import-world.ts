/**
 * What the tests of imports share: a source with columns of every type, files, an archive in a folder of its own.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { isOnefoldError } from "../../src/base/errors.ts";
import { parseMicros, type Micros } from "../../src/base/micros.ts";
import type { EntityDefinition, StreamDefinition, ViewDefinition } from "../../src/define/definition.ts";
import type { Expression } from "../../src/define/expression.ts";
import type { NewDeadLetter } from "../../src/ingest/dead-letters.ts";
import { compileDoor, type DoorView } from "../../src/ingest/door.ts";
import type { EventLog } from "../../src/ingest/event-log.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { importHistory, type HistoryImport, type ImportResult } from "../../src/ingest/history-import.ts";
import {
  type ArchiveFiles,
  type HistoryArchive,
  openEventArchive,
} from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { eventRelation } from "../../src/offline-store/event-relation.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import type { Column, Value } from "../../src/schema/value.ts";

export let engine: QueryEngine;
export let root: string;
export let folder: string;
export let serial = 0;

beforeAll(async () => {
  engine = await openDuckDb({ threads: 2 });
  root = await mkdtemp(join(tmpdir(), "onefold-import-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});
/** A data folder of its own, for the next archive that is opened. */
export function newFolder(): string {
  folder = join(root, String(++serial));
  return folder;
}
beforeEach(() => {
  newFolder();
});

export const NOW = parseMicros("2026-06-01T00:00:00Z");
const column = (name: string): Expression => ({ op: "column", name });
const literal = (value: Value): Expression => ({ op: "literal", value });

export const columns: Column[] = [
  { name: "key", type: { name: "string" }, nullable: false },
  { name: "number", type: { name: "int64" }, nullable: true },
  { name: "wide", type: { name: "int64", wide: true }, nullable: true },
  { name: "amount", type: { name: "float64" }, nullable: true },
  { name: "flag", type: { name: "bool" }, nullable: true },
  { name: "data", type: { name: "bytes" }, nullable: true },
  { name: "list", type: { name: "array", element: { name: "float64" } }, nullable: true },
  { name: "at", type: { name: "timestamp" }, nullable: false },
];

export const source: StreamDefinition = {
  kind: "stream",
  name: "orders",
  columns,
  derived: [
    {
      name: "doubled",
      type: { name: "int64" },
      expression: { op: "multiply", left: column("number"), right: literal(2) },
    },
    {
      name: "evening",
      type: { name: "bool" },
      expression: { op: "gte", left: { op: "hour", input: column("at") }, right: literal(18) },
    },
  ],
  constraints: [
    {
      name: "plausible",
      predicate: {
        op: "or",
        left: { op: "isNull", input: column("doubled") },
        right: {
          op: "and",
          left: { op: "gte", left: column("doubled"), right: literal(-90) },
          right: { op: "not", input: { op: "eq", left: column("key"), right: literal("bad") } },
        },
      },
    },
  ],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 1_000_000,
};

export const entity: EntityDefinition = {
  kind: "entity",
  name: "customer",
  keys: [{ name: "key", type: { name: "string" } }],
};
export const view: ViewDefinition = {
  kind: "view",
  name: "customers",
  version: 1,
  entity: "customer",
  source: "orders",
  key: ["key"],
  features: [],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};
export const views: DoorView[] = [{ definition: view, entity }];

/** A log that holds the given events and takes no more. */
export function logOf(events: readonly LogEvent[]): EventLog {
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

export interface Imported {
  readonly result: ImportResult;
  readonly letters: readonly NewDeadLetter[];
}

export async function openArchive(of: StreamDefinition = source): Promise<HistoryArchive> {
  return openEventArchive(openOfflineStore(folder, engine), engine, of);
}

export async function importFiles(
  archive: HistoryArchive,
  files: readonly string[],
  more: Partial<HistoryImport> = {},
): Promise<Imported> {
  const letters: NewDeadLetter[] = [];
  const result = await importHistory({
    source,
    views,
    files,
    archive,
    log: null,
    engine,
    clock: new ReplayClock(NOW),
    deadLetters: { add: async (some) => letters.push(...some) },
    ...more,
  });
  return { result, letters };
}

export let fileSerial = 0;
export async function write(ending: string, text: string): Promise<string> {
  const path = join(root, `rows-${++fileSerial}.${ending}`);
  await writeFile(path, text);
  return path;
}

export async function historyOf(files: ArchiveFiles, of: StreamDefinition = source): Promise<Record<string, Value>[]> {
  return engine.rows(`SELECT * FROM ${eventRelation(files.history, of.columns)} ORDER BY _offset`);
}

/** What the door makes of rows one by one: the result an import must reach, however much of it SQL did. */
export function throughDoor(rows: readonly unknown[]): {
  accepted: { row: readonly Value[]; eventTime: number; knownTime: number }[];
  codes: string[];
} {
  const door = compileDoor(source, views);
  const accepted: { row: readonly Value[]; eventTime: number; knownTime: number }[] = [];
  const codes: string[] = [];
  for (const row of rows) {
    try {
      const { row: checked, eventTime } = door.check(row, NOW as Micros);
      const knownTime = Math.min(eventTime + source.availableAfterMicros, NOW);
      accepted.push({ row: checked.slice(0, columns.length), eventTime, knownTime });
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      codes.push(error.code);
    }
  }
  // Array.prototype.toSorted is stable: rows of one known time keep the file's order.
  return { accepted: accepted.toSorted((a, b) => a.knownTime - b.knownTime), codes: codes.toSorted() };
}

/** Values as the table shows them, bit for bit: NaN, -0 and bytes included. */
export function shown(value: Value): unknown {
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Uint8Array) return [...value].join(",");
  return Array.isArray(value) ? value.map(shown) : value;
}

export async function expectLikeDoor(path: string, rows: readonly unknown[]): Promise<void> {
  const archive = await openArchive();
  const { result, letters } = await importFiles(archive, [path]);
  const expected = throughDoor(rows);
  const stored = await historyOf(result.after);
  expect(stored.map((row) => columns.map(({ name }) => shown(row[name]!)))).toEqual(
    expected.accepted.map(({ row }) =>
      row.map((value, c) =>
        columns[c]!.name === "wide" && value !== null && Number.isSafeInteger(Number(value))
          ? Number(value)
          : shown(value),
      ),
    ),
  );
  expect(stored.map((row) => [row["_event_time"], row["_known_time"], row["_offset"]])).toEqual(
    expected.accepted.map(({ eventTime, knownTime }, i) => [eventTime, knownTime, HISTORY_BASE + i]),
  );
  expect(letters.map(({ code }) => code).toSorted()).toEqual(expected.codes);
  expect(result).toMatchObject({
    rows: rows.length,
    accepted: expected.accepted.length,
    rejected: expected.codes.length,
    duplicates: 0,
  });
}
