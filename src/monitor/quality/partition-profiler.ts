/**
 * Brings the profiles of a source up to what workers on Kafka have archived of it: as `profileEvents`, of events in partitions
 * with offsets of their own.
 *
 * Known times never decrease along a partition. So a month's file, which speaks of the ends of all partitions in it, has all
 * of their events of the months up to it.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import type { Column } from "../../schema/value.ts";
import { monthOf, type PartitionEnds } from "./profile-files.ts";
import { daySql, EVENTS_A_PART, mergeDay, type ProfilerOptions, readDays, typesOf } from "./profiler.ts";

export interface ArchivedPartitions {
  readonly files: readonly TableFile[];
  /** By partition: its archive ends before this offset. */
  readonly ends: ReadonlyMap<number, number>;
  /** Throws where rows of these files were forgotten since: what was read of them is not to be written. */
  stillHold?(): Promise<void>;
}

/** What one process knows from one call to the next. */
export interface PartitionMemory {
  /** Paths of files of which all is profiled: what they hold is not looked at again. */
  readonly files: Set<string>;
  /** The place that the profiles had then. */
  place: PartitionEnds | null;
}

interface Range {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

const PARTITION: Column = { name: "_partition", type: { name: "int64" }, nullable: true };

/**
 * Resolves with how many events were read. Throws what the engine throws, and `TABLE_CONFLICT` where another process has
 * profiled the source meanwhile.
 */
export async function profilePartitions(
  options: ProfilerOptions,
  source: SourceDefinition,
  { files: table, ends, stillHold = () => Promise.resolve() }: ArchivedPartitions,
  memory: PartitionMemory,
): Promise<number> {
  const { engine, files } = options;
  const stored = (await files.place(engine))?.partitions;
  const isOther =
    stored === undefined || Object.entries(stored).some(([partition, end]) => end > endOf(ends, partition));
  if (isOther) await files.clear();
  if (isOther || memory.place === null || !isSame(stored, memory.place)) memory.files.clear();
  let told: PartitionEnds = isOther ? {} : stored;
  const place = new Map(Object.entries(told));
  const unread = table.filter(({ path }) => !memory.files.has(path));
  const inPart = Math.max(1, Math.floor(EVENTS_A_PART / Math.max(1, ends.size)));
  let read = 0;
  for (;;) {
    const ranges = [...ends].flatMap(([partition, end]): Range[] => {
      const from = place.get(String(partition)) ?? 0;
      return from < end ? [{ partition, from, to: Math.min(end, from + inPart) }] : [];
    });
    if (ranges.length === 0) break;
    const profiled = await profileRanges(options, source, unread, { ranges, told, stillHold });
    read += profiled.count;
    told = profiled.told;
    for (const { partition, to } of ranges) place.set(String(partition), to);
  }
  memory.files.clear();
  for (const { path } of table) memory.files.add(path);
  memory.place = told;
  return read;
}

interface Ranges extends Required<Pick<ArchivedPartitions, "stillHold">> {
  readonly ranges: readonly Range[];
  readonly told: PartitionEnds;
}

async function profileRanges(
  options: ProfilerOptions,
  source: SourceDefinition,
  table: readonly TableFile[],
  { ranges, told: before, stillHold }: Ranges,
): Promise<{ readonly count: number; readonly told: PartitionEnds }> {
  const { engine, files } = options;
  const within = ranges
    .map(({ partition, from, to }) => `(_partition = ${partition} AND _offset >= ${from} AND _offset < ${to})`)
    .join(" OR ");
  // A retraction has no event time: it is no event.
  const rows = `FROM ${eventRelation(table, [...source.columns, PARTITION])} s WHERE _event_time IS NOT NULL AND (${within})`;
  const read = await readDays(options, source.columns, rows, "_known_time");
  const found = await engine.rows(
    `SELECT ${daySql("_known_time")} AS day, _partition::DOUBLE AS partition, (max(_offset) + 1)::DOUBLE AS place, count(*)::DOUBLE AS n
     ${rows} GROUP BY 1, 2`,
  );
  const types = typesOf(source.columns);
  const months = [...new Set(found.map(({ day }) => monthOf(Number(day))))].toSorted();
  const whole = Object.fromEntries(ranges.map(({ partition, to }) => [partition, to]));
  // Where all offsets are of records that are no events nothing is written.
  let told = before;
  for (const month of months) {
    const ofRead = [...read].filter(([day]) => monthOf(day) === month);
    const days = await files.days(
      engine,
      month,
      ofRead.map(([day]) => day),
    );
    for (const [day, columns] of ofRead) mergeDay(days, day, columns);
    const ofMonth: Record<string, number> = { ...told };
    for (const { day, partition, place: end } of found) {
      if (monthOf(Number(day)) !== month) continue;
      const name = String(Number(partition));
      ofMonth[name] = Math.max(ofMonth[name] ?? 0, Number(end));
    }
    const next = month === months.at(-1) ? { ...ofMonth, ...whole } : ofMonth;
    await stillHold();
    // Another worker may have been given the partitions by which the one that profiles is told.
    if (!isSame((await files.place(engine))?.partitions ?? {}, told)) throw profiledByAnother(source);
    await files.write(engine, month, days, types, { epoch: 0, endOffset: 0, partitions: next });
    told = next;
  }
  return { count: found.reduce((sum, { n }) => sum + Number(n), 0), told };
}

function endOf(ends: ReadonlyMap<number, number>, partition: string): number {
  return ends.get(Number(partition)) ?? 0;
}

function isSame(a: PartitionEnds, b: PartitionEnds): boolean {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every(
    (partition) => (a[partition] ?? 0) === (b[partition] ?? 0),
  );
}

function profiledByAnother({ name }: SourceDefinition): OnefoldError {
  return new OnefoldError("TABLE_CONFLICT", `another worker has profiled source ${name} meanwhile`, {
    where: name,
    hint: "nothing has to be done: one of them goes on",
  });
}
