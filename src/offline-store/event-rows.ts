/**
 * Whole rows of a few archived events, by their offsets: for what is to be said about an event, not folded of it.
 */
import { randomUUID } from "node:crypto";
import type { SourceDefinition } from "../define/definition.ts";
import type { Value } from "../schema/value.ts";
import { sqlName, type QueryEngine } from "./engine.ts";
import type { EventFiles } from "./event-archive.ts";
import { columnSql, engineColumn, eventRelation, rowFiller } from "./event-relation.ts";
import { batchOfRows } from "./row-batch.ts";

export interface EventRow {
  readonly offset: number;
  /** Microseconds. */
  readonly eventTime: number;
  readonly knownTime: number;
  readonly id: string | null;
  /** The stored columns, and room behind them for derived ones. */
  readonly stored: Value[];
  /** How many events of history before this one are the same in all of these but the offset; 0 for a live one. */
  readonly twin: number;
}

/** Batches in offset order. `offsetTable` is a table with a column `_offset`. */
export async function* readEventRows(
  engine: QueryEngine,
  files: EventFiles,
  source: SourceDefinition,
  offsetTable: string,
): AsyncIterableIterator<readonly EventRow[]> {
  const { columns } = source;
  const wanted = `SELECT _offset FROM ${sqlName(offsetTable)}`;
  const history = eventRelation(files.history, columns);
  const content = ["_event_time", "_known_time", "_id", ...columns.map(({ name }) => sqlName(name))].join(", ");
  // Few rows share a hash with one that is wanted: only they are compared whole.
  const twins = `SELECT *, row_number() OVER (PARTITION BY ${content} ORDER BY _offset) - 1 AS _twin FROM ${history}
    WHERE hash(${content}) IN (SELECT hash(${content}) FROM ${history} WHERE _offset IN (${wanted}))`;
  const sql = `SELECT s._offset::DOUBLE, epoch_us(s._event_time)::DOUBLE, epoch_us(s._known_time)::DOUBLE,
      s._twin::DOUBLE, s._id ${columns.map((column) => `, ${columnSql(column)}`).join("")}
    FROM (SELECT * FROM (${twins}) UNION ALL BY NAME SELECT *, 0 AS _twin FROM ${eventRelation(files.live, columns)}) s
    WHERE s._offset IN (${wanted}) ORDER BY s._offset`;
  const number = { as: "number" } as const;
  const types = [number, number, number, number, { as: "text" } as const, ...columns.map(engineColumn)];
  const places = columns.map((_, i) => i);
  for await (const batch of engine.stream(sql, types)) {
    const [offset, eventTime, knownTime, twin, id, ...vectors] = batch.columns;
    const fill = rowFiller(columns, places, vectors, batch.validity.slice(5));
    yield Array.from({ length: batch.rowCount }, (_, i): EventRow => {
      const stored: Value[] = columns.map(() => null);
      fill(i, stored);
      return {
        offset: offset![i] as number,
        eventTime: eventTime![i] as number,
        knownTime: knownTime![i] as number,
        id: id![i] as string | null,
        stored,
        twin: twin![i] as number,
      };
    });
  }
}

/** As `readEventRows`, for offsets at hand. */
export async function* readEventRowsAt(
  engine: QueryEngine,
  files: EventFiles,
  source: SourceDefinition,
  offsets: readonly number[],
): AsyncIterableIterator<readonly EventRow[]> {
  if (offsets.length === 0) return;
  const table = `offsets_${randomUUID()}`;
  const column = { name: "_offset", type: { name: "int64" } } as const;
  const rows = offsets.map((offset) => [offset]);
  try {
    await engine.fill(table, [column], [batchOfRows([column.type], rows)]);
    yield* readEventRows(engine, files, source, table);
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(table)}`);
  }
}
