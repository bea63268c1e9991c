/**
 * A table in partitions, joined, checkpointed and vacuumed, and what every engine must find in it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../../src/base/clock.ts";
import { micros, parseMicros } from "../../src/base/micros.ts";
import type { SourceDefinition } from "../../src/define/definition.ts";
import { openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import type { EventArchive } from "../../src/offline-store/event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import { compactTable } from "../../src/offline-store/table-compaction.ts";
import { kindOfTable } from "../../src/offline-store/table-kinds.ts";
import { HISTORY_BASE } from "../../src/schema/event-offset.ts";
import { datedStorage } from "./dated-storage.ts";
import { appendLive } from "./live-events.ts";

const source: SourceDefinition = {
  kind: "stream",
  name: "visits",
  columns: [
    { name: "user", type: { name: "string" }, nullable: false, description: "who came" },
    { name: "spent", type: { name: "float64" }, nullable: true },
    { name: "at", type: { name: "timestamp" }, nullable: false },
    { name: "tags", type: { name: "array", element: { name: "string" } }, nullable: true },
  ],
  derived: [],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60e6,
  dedupeWithinMicros: 1e12,
  availableAfterMicros: 0,
};
const DAY = 86_400e6;
const START = parseMicros("2001-01-20T00:00:00.000001Z");

/** One event a day: ten of history, then so many live ones, then one in the third month. */
const LIVE_DAYS = 40;

export interface JoinedTable {
  readonly engine: QueryEngine;
  readonly table: OfflineTable;
  /** Opened anew. */
  archive(): Promise<EventArchive>;
  /** Appends so many events, one a day and commit. */
  appendMore(count: number): Promise<void>;
  /** As on the day on which all of it was written. */
  erase(): Promise<void>;
  close(): Promise<void>;
}

export async function openJoinedTable(): Promise<JoinedTable> {
  const engine = await openDuckDb({ threads: 2 });
  const folder = await mkdtemp(join(tmpdir(), "onefold-readers-"));
  const clock = new ReplayClock(START);
  const store = openOfflineStore(folder, engine, { clock, storage: datedStorage(clock) });
  const archive = await openEventArchive(store, engine, source);
  await archive.appendHistory(await archive.files(), {
    engine,
    select: `SELECT 'h' || i AS "user", NULL::DOUBLE AS spent, t AS "at", NULL::VARCHAR[] AS tags, t AS _event_time,
      t AS _known_time, ${HISTORY_BASE} + i AS _offset, NULL::VARCHAR AS _id
      FROM (SELECT i, make_timestamptz(${START} - (10 - i) * ${DAY}) AS t FROM range(10) r(i))`,
    firstKnownTime: START - 10 * DAY,
    lastKnownTime: START - DAY,
  });
  const append = async (offset: number): Promise<void> => {
    const time = START + offset * DAY;
    clock.advanceTo(micros(time));
    await appendLive(archive, [
      { offset, eventTime: time, knownTime: time, id: null, row: [`u${offset % 3}`, offset / 2, time, ["a", null]] },
    ]);
  };
  for (let offset = 0; offset < LIVE_DAYS; offset++) await append(offset);
  const table = (await store.find("events/visits"))!;
  await compactTable(table, engine, kindOfTable((await table.snapshot()).schema)!, 2);
  clock.advanceTo(micros(clock.now() + 3 * DAY));
  await table.cleanUp({ keptMillis: 86_400_000, logKeptMillis: 1e12, isUnneeded: () => true });
  await append(LIVE_DAYS);
  let appended = LIVE_DAYS + 1;
  return {
    engine,
    table,
    archive: () =>
      openEventArchive(openOfflineStore(folder, engine, { clock, storage: datedStorage(clock) }), engine, source),
    appendMore: async (count) => {
      for (let i = 0; i < count; i++) await append(appended++);
    },
    erase: async () => {
      const storage = { ...datedStorage(clock), clockMillis: async () => START / 1000 };
      const opened = await openOfflineStore(folder, engine, { clock, storage }).find("events/visits");
      await opened!.erase(() => true);
    },
    close: async () => {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const all = Array.from({ length: LIVE_DAYS + 11 }, (_, i) => (i < 10 ? HISTORY_BASE + i : i - 10));
/** Events known on the last day of January and before are the first 12 live ones. */
const fromFebruary = all.filter((offset) => offset >= 12);
/** What every engine must find; `early` in the version before the newest. */
export const EXPECTED = {
  offsets: all,
  fromFebruary,
  spent: fromFebruary.reduce((sum, offset) => sum + offset / 2, 0),
  months: [
    ["2001-01", 22],
    ["2001-02", 28],
    ["2001-03", 1],
  ],
  early: LIVE_DAYS + 10,
  first: START - 10 * DAY,
  filesFromFebruary: 2,
};
