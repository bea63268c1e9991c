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
import type { EventFiles } from "./event-archive.ts";
import type { TableFile } from "./offline-store.ts";

/** Of a live file: how many retractions it holds. Absent for none. */
export const RETRACTIONS_TAG = "retractions";

/** Of a file that holds so many. */
export function retractionTag(count: number): Readonly<Record<string, string>> {
  return count === 0 ? {} : { [RETRACTIONS_TAG]: String(count) };
}

export function retractionFiles({ live }: Pick<EventFiles, "live">): readonly TableFile[] {
  return live.filter(({ tags }) => tags[RETRACTIONS_TAG] !== undefined);
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
  files: EventFiles,
  ids: readonly string[],
): Promise<ReadonlyMap<string, EventsOfId>> {
  const tables = await createRetractionTables(engine, relation, files, undefined);
  try {
    const rows = await engine.rows(`SELECT e._id AS id, count(*) AS n, count(*) FILTER (WHERE t.at IS NULL) AS counting
      FROM ${relation([...files.history, ...files.live])} e LEFT JOIN ${tables.retracted} t ON t._offset = e._offset
      WHERE NOT e.${IS_RETRACTION_SQL} AND e._id IN (${ids.map(sqlText).join(", ")}) GROUP BY 1`);
    return new Map(
      rows.map((row) => [String(row["id"]), { all: Number(row["n"]), counting: Number(row["counting"]) }]),
    );
  } finally {
    await tables.drop();
  }
}

/** Tables of one reading; `drop` removes them. */
export interface RetractionTables {
  /** `_offset` of each event that is taken back, `at`: the offset of what takes it back, and `known`: its known time. */
  readonly retracted: string;
  drop(): Promise<void>;
}

/** `relation` gives `_event_time`, `_known_time`, `_offset` and `_id` of all events; retractions at or behind `beforeOffset` are not seen. */
export async function createRetractionTables(
  engine: QueryEngine,
  relation: (files: readonly TableFile[]) => string,
  files: EventFiles,
  beforeOffset: number | undefined,
): Promise<RetractionTables> {
  const scratch = randomUUID();
  const retractions = sqlName(`retractions_${scratch}`);
  const retracted = sqlName(`retracted_${scratch}`);
  const bound = beforeOffset === undefined ? "" : `AND _offset < ${beforeOffset}`;
  await engine.run(`CREATE TABLE ${retractions} AS SELECT _id, _offset AS at, _known_time AS known
    FROM ${relation(retractionFiles(files))} WHERE ${IS_RETRACTION_SQL} ${bound}`);
  await engine.run(`CREATE TABLE ${retracted} AS
    SELECT e._offset, min(r.at) AS at, arg_min(r.known, r.at) AS known
    FROM ${relation([...files.history, ...files.live])} e JOIN ${retractions} r ON e._id = r._id AND e._offset < r.at
    WHERE NOT e.${IS_RETRACTION_SQL} GROUP BY e._offset`);
  return {
    retracted,
    async drop() {
      await engine.run(`DROP TABLE IF EXISTS ${retractions}`);
      await engine.run(`DROP TABLE IF EXISTS ${retracted}`);
    },
  };
}
