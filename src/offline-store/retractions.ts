/**
 * Events that were taken back, told by what the archive holds.
 *
 *     offset   0    1    2       3    4
 *     record   e a  e b  e a     r a  e a     r: from here on, the events of id a before it count no more
 *     event 0  -----counts------>|            taken back at 3, as is event 2; event 4 counts
 *
 * A view folds entities, and a retraction names an id. So for the key of a view each retraction becomes a mark in the
 * order of every entity that loses an event by it; entities that lose none never see it.
 */
import { randomUUID } from "node:crypto";
import { sqlName, sqlText, type QueryEngine } from "./engine.ts";
import type { NewFile, TableFile, TableFileStats } from "./offline-store.ts";

/** Of a live file: how many retractions it holds. Absent for none. */
export const RETRACTIONS_TAG = "retractions";

/** Of a file that holds so many. */
export function retractionTag(count: number): Readonly<Record<string, string>> {
  return count === 0 ? {} : { [RETRACTIONS_TAG]: String(count) };
}

/** Of a file that takes the place of these. */
export function joinedRetractionTag(files: readonly TableFile[]): Readonly<Record<string, string>> {
  return retractionTag(files.reduce((sum, { tags }) => sum + Number(tags[RETRACTIONS_TAG] ?? 0), 0));
}

/** How many rows of a new file have no event time. */
export function retractionsOf({ stats }: Pick<NewFile, "stats">): number {
  const { nullCount } = JSON.parse(stats ?? "{}") as TableFileStats;
  return Number(nullCount?.["_event_time"] ?? 0);
}

export function retractionFiles(files: readonly TableFile[]): readonly TableFile[] {
  return files.filter(({ tags }) => tags[RETRACTIONS_TAG] !== undefined);
}

/** A row of a live file that is a retraction. */
export const IS_RETRACTION_SQL = "_event_time IS NULL";

/** How many archived events of an id there are, and how many of them count. */
export interface EventsOfId {
  readonly all: number;
  readonly counting: number;
}

/** By id; without those that no event has. `relation` as for `createRetractionTables`. */
export async function countEventsOfIds(
  engine: QueryEngine,
  relation: (files: readonly TableFile[]) => string,
  events: RetractableEvents,
  ids: readonly string[],
): Promise<ReadonlyMap<string, EventsOfId>> {
  const tables = await createRetractionTables(engine, relation, events);
  try {
    const rows = await engine.rows(`SELECT e._id AS id, count(*) AS n, count(*) FILTER (WHERE t.at IS NULL) AS counting
      FROM ${relation(events.files)} e LEFT JOIN ${tables.retracted} t ON ${tables.isOf("t", "e")}
      WHERE NOT e.${IS_RETRACTION_SQL} AND e._id IN (${ids.map(sqlText).join(", ")}) GROUP BY 1`);
    return new Map(
      rows.map((row) => [String(row["id"]), { all: Number(row["n"]), counting: Number(row["counting"]) }]),
    );
  } finally {
    await tables.drop();
  }
}

export interface RetractableEvents {
  readonly files: readonly TableFile[];
  /** Retractions at or behind it are not seen. */
  readonly beforeOffset?: number | undefined;
  /** Those that were known later, microseconds, are not seen. */
  readonly knownBy?: number | undefined;
  /** In several partitions, with offsets of their own: a retraction takes back events of its partition alone. */
  readonly isPartitioned?: boolean;
}

/** Tables of one reading; `drop` removes them. */
export interface RetractionTables {
  /**
   * Place (`_offset`, and `_partition` where there are several) of each event that is taken back, `at`: the offset of what
   * takes it back, and `known`: its known time.
   */
  readonly retracted: string;
  /** SQL: whether a row of `retracted` is of an event, given the names of both. */
  isOf(retracted: string, event: string): string;
  drop(): Promise<void>;
}

/** `relation` gives `_event_time`, `_known_time`, `_offset`, `_id`, and `_partition` where there are several, of all events. */
export async function createRetractionTables(
  engine: QueryEngine,
  relation: (files: readonly TableFile[]) => string,
  { files, beforeOffset, knownBy, isPartitioned = false }: RetractableEvents,
): Promise<RetractionTables> {
  const scratch = randomUUID();
  const retractions = sqlName(`retractions_${scratch}`);
  const retracted = sqlName(`retracted_${scratch}`);
  const bounds = [
    ...(beforeOffset === undefined ? [] : [`AND _offset < ${beforeOffset}`]),
    ...(knownBy === undefined ? [] : [`AND epoch_us(_known_time) <= ${knownBy}`]),
  ];
  const [partition, ofPartition, samePartition] = isPartitioned
    ? ["_partition,", "e._partition,", "AND e._partition = r._partition"]
    : ["", "", ""];
  await engine.run(`CREATE TABLE ${retractions} AS SELECT _id, ${partition} _offset AS at, _known_time AS known
    FROM ${relation(retractionFiles(files))} WHERE ${IS_RETRACTION_SQL} ${bounds.join(" ")}`);
  await engine.run(`CREATE TABLE ${retracted} AS
    SELECT ${ofPartition} e._offset, min(r.at) AS at, arg_min(r.known, r.at) AS known
    FROM ${relation(files)} e JOIN ${retractions} r ON e._id = r._id AND e._offset < r.at ${samePartition}
    WHERE NOT e.${IS_RETRACTION_SQL} GROUP BY ${ofPartition} e._offset`);
  return {
    retracted,
    isOf: (one, event) =>
      `${one}._offset = ${event}._offset${isPartitioned ? ` AND ${one}._partition = ${event}._partition` : ""}`,
    async drop() {
      await engine.run(`DROP TABLE IF EXISTS ${retractions}`);
      await engine.run(`DROP TABLE IF EXISTS ${retracted}`);
    },
  };
}
