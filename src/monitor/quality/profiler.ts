/**
 * Brings profiles up to what is archived, beside everything else and never on the way of an event.
 *
 * Of a source only the events that are new since are read, in the order in which they became known, column by column: the
 * engine groups equal values on threads of its own, and the sketches take each value once with its count. Of a view a day
 * is read again when the number of its feature rows is another than its profile has: rows of past minutes may still be
 * written, and history may be rearranged.
 */
import { formatType } from "../../schema/value.ts";
import type { Column, Value } from "../../schema/value.ts";
import { MICROS_PER_DAY } from "../../base/micros.ts";
import { formatViewName, type SourceDefinition, type ViewDefinition } from "../../define/definition.ts";
import { type QueryEngine, sqlName } from "../../offline-store/engine.ts";
import { parquetSql } from "../../offline-store/file-sql.ts";
import type { EventFiles } from "../../offline-store/event-archive.ts";
import { columnSql, engineColumn, eventRelation, rowFiller } from "../../offline-store/event-relation.ts";
import { filesWithin } from "../../offline-store/file-pruning.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import { HISTORY_BASE } from "../../schema/event-offset.ts";
import { addValues, type ColumnSketch, emptySketch, mergeSketch } from "./column-profile.ts";
import { type DaySketches, monthOf, type ProfileFiles } from "./profile-files.ts";

/** Events read between two writes: what a crash may have to read again. */
export const EVENTS_A_PART = 500_000;

export interface ProfilerOptions {
  readonly engine: QueryEngine;
  readonly files: ProfileFiles;
  /** Waits so that the work takes no more than its part of the time; told how long the last piece took. */
  rest(workedMs: number): Promise<void>;
  /** Throws where the work is to end. */
  check(): void;
}

/** Resolves with how many events were read. Throws what the engine throws. */
export async function profileEvents(
  options: ProfilerOptions,
  source: SourceDefinition,
  archive: EventFiles,
): Promise<number> {
  const { engine, files } = options;
  let place = await files.place(engine);
  if (place === null || place.epoch !== archive.epoch || place.endOffset > archive.liveEnd) {
    await files.clear();
    place = { epoch: archive.epoch, endOffset: HISTORY_BASE };
  }
  let read = 0;
  for (let from = place.endOffset; ;) {
    // Between history and the live log there is nothing.
    if (from < 0 && from >= archive.historyEnd) from = 0;
    const end = from < 0 ? archive.historyEnd : archive.liveEnd;
    if (from >= end) return read;
    const to = Math.min(end, from + EVENTS_A_PART);
    read += await profilePart(options, source, archive, { from, to, epoch: archive.epoch });
    from = to;
  }
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
}

async function profilePart(
  options: ProfilerOptions,
  source: SourceDefinition,
  archive: EventFiles,
  { from, to, epoch }: Part,
): Promise<number> {
  const { engine, files } = options;
  const within = filesWithin([...archive.history, ...archive.live], "_offset", { from, before: to });
  const rows = `FROM ${eventRelation(within, source.columns)} s
    WHERE _event_time IS NOT NULL AND _offset >= ${from} AND _offset < ${to}`;
  const read = await readDays(options, source.columns, rows, "_known_time");
  const ends = await engine.rows(
    `SELECT ${daySql("_known_time")} AS day, (max(_offset) + 1)::DOUBLE AS place, count(*)::DOUBLE AS n ${rows} GROUP BY 1 ORDER BY 1`,
  );
  const types = typesOf(source.columns);
  const months = [...new Set(ends.map(({ day }) => monthOf(Number(day))))];
  for (const month of months) {
    const ofRead = [...read].filter(([day]) => monthOf(day) === month);
    const touched = ofRead.map(([day]) => day);
    const days = await files.days(engine, month, touched);
    for (const [day, columns] of ofRead) mergeDay(days, day, columns);
    const ofMonth = ends.filter(({ day }) => monthOf(Number(day)) === month);
    // Known times never decrease along the offsets: behind the last month's events there are only those of the next.
    const endOffset = month === months.at(-1) ? to : Math.max(...ofMonth.map(({ place }) => Number(place)));
    await files.write(engine, month, days, types, { epoch, endOffset });
  }
  return ends.reduce((sum, { n }) => sum + Number(n), 0);
}

/** What is known of a view's feature rows from one call to the next. */
export interface FeatureMemory {
  /** How many rows of each day a file has, by its path: a file never changes, so it is counted once. */
  readonly files: Map<string, ReadonlyMap<number, number>>;
  /** Rows that the profile of a day is of. */
  readonly profiled: Map<number, number>;
}

/** Resolves with how many rows were read. */
export async function profileFeatures(
  options: ProfilerOptions,
  view: ViewDefinition,
  table: readonly TableFile[],
  memory: FeatureMemory,
): Promise<number> {
  const { engine, files } = options;
  const columns = view.features
    .filter(({ offline }) => offline !== false)
    .map(({ name, type }): Column => ({ name, type, nullable: true }));
  if (table.length === 0 || columns.length === 0) return 0;
  const names = ["_minute", ...columns.map(({ name }) => name)].map(sqlName).join(", ");
  const counts = await rowsByDay(options, table, memory.files);
  const stale = [...counts].filter(([day, rowCount]) => memory.profiled.get(day) !== rowCount);
  let read = 0;
  for (const month of new Set(stale.map(([day]) => monthOf(day)))) {
    const ofMonth = stale.filter(([day]) => monthOf(day) === month);
    const before = await files.days(
      engine,
      month,
      ofMonth.map(([day]) => day),
    );
    const after: DaySketches = new Map();
    for (const [day, rowCount] of ofMonth) {
      if (isProfiled(before.get(day), columns, rowCount)) continue;
      const from = day * MICROS_PER_DAY;
      const within = filesWithin(table, "_minute", { from, before: from + MICROS_PER_DAY });
      const paths = within.map(({ path }) => path);
      const rows = `FROM (SELECT ${names} FROM ${parquetSql(paths, "union_by_name = true")}) s
        WHERE _minute >= make_timestamptz(${from}) AND _minute < make_timestamptz(${from + MICROS_PER_DAY})`;
      const found = await readDays(options, columns, rows, "_minute");
      after.set(day, found.get(day) ?? new Map());
      read += rowCount;
    }
    if (after.size > 0) await files.write(engine, month, after, typesOf(columns), { epoch: 0, endOffset: 0 });
    for (const [day, rowCount] of ofMonth) memory.profiled.set(day, rowCount);
  }
  return read;
}

/** Of all files together. */
async function rowsByDay(
  { engine, rest }: ProfilerOptions,
  table: readonly TableFile[],
  counted: FeatureMemory["files"],
): Promise<Map<number, number>> {
  const started = performance.now();
  const present = new Set(table.map(({ path }) => path));
  for (const path of counted.keys()) if (!present.has(path)) counted.delete(path);
  const uncounted = [...present].filter((path) => !counted.has(path));
  if (uncounted.length > 0) {
    const found = await engine.rows(
      `SELECT filename, ${daySql("_minute")} AS day, count(*)::DOUBLE AS n
       FROM ${parquetSql(uncounted, "union_by_name = true", "filename = true")} GROUP BY ALL`,
    );
    const days = new Map(uncounted.map((path) => [path, new Map<number, number>()]));
    for (const { filename, day, n } of found) days.get(String(filename))?.set(Number(day), Number(n));
    for (const [path, ofFile] of days) counted.set(path, ofFile);
  }
  const sums = new Map<number, number>();
  for (const ofFile of counted.values()) {
    for (const [day, rowCount] of ofFile) sums.set(day, (sums.get(day) ?? 0) + rowCount);
  }
  await rest(performance.now() - started);
  return sums;
}

function isProfiled(
  day: ReadonlyMap<string, ColumnSketch> | undefined,
  columns: readonly Column[],
  rows: number,
): boolean {
  return day !== undefined && columns.every(({ name }) => day.get(name)?.rows === rows);
}

/** Sketches of these rows by day and column. */
export async function readDays(
  { engine, rest, check }: ProfilerOptions,
  columns: readonly Column[],
  rows: string,
  time: string,
): Promise<DaySketches> {
  const days: DaySketches = new Map();
  for (const column of columns) {
    check();
    const started = performance.now();
    const sql = `SELECT ${daySql(time)} AS day, count(*)::DOUBLE AS n, ${columnSql(column)} ${rows} GROUP BY ALL`;
    const wanted = [{ as: "number" }, { as: "number" }, engineColumn(column)] as const;
    for await (const batch of engine.stream(sql, wanted)) {
      const fill = rowFiller([column], [0], batch.columns.slice(2), batch.validity.slice(2));
      const byDay = new Map<number, (readonly [Value, number])[]>();
      const row: Value[] = [null];
      for (let i = 0; i < batch.rowCount; i++) {
        fill(i, row);
        const day = batch.columns[0]![i] as number;
        const values = byDay.get(day);
        const counted = [row[0]!, batch.columns[1]![i] as number] as const;
        if (values === undefined) byDay.set(day, [counted]);
        else values.push(counted);
      }
      for (const [day, values] of byDay) addValues(sketchIn(days, day, column.name), column.type, values);
    }
    await rest(performance.now() - started);
  }
  return days;
}

function sketchIn(days: DaySketches, day: number, column: string): ColumnSketch {
  let columns = days.get(day);
  if (columns === undefined) days.set(day, (columns = new Map()));
  let sketch = columns.get(column);
  if (sketch === undefined) columns.set(column, (sketch = emptySketch()));
  return sketch;
}

export function mergeDay(days: DaySketches, day: number, columns: ReadonlyMap<string, ColumnSketch>): void {
  for (const [name, sketch] of columns) mergeSketch(sketchIn(days, day, name), sketch);
}

export function typesOf(columns: readonly Column[]): Map<string, string> {
  return new Map(columns.map(({ name, type }) => [name, formatType(type)]));
}

export function daySql(time: string): string {
  return `floor(epoch_us(${time}) / ${MICROS_PER_DAY}.0)::DOUBLE`;
}

/** `sources/flights`, `views/delays@1`: the folder of a subject's files. */
export function profileFolder(subject: SourceDefinition | ViewDefinition): string {
  return subject.kind === "view" ? `views/${formatViewName(subject)}` : `sources/${subject.name}`;
}
