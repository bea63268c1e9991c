/**
 * What expectations are judged on: the rows of a source's archive, or of a view's feature rows, by the time at which they
 * became known. The engine scans and counts; whether a single value meets a rule is the door's own function to say.
 */
import { parseMicros } from "../../base/micros.ts";
import type { Column, Row, Value } from "../../schema/value.ts";
import { type QueryEngine, sqlName } from "../../offline-store/engine.ts";
import { parquetSql } from "../../offline-store/file-sql.ts";
import { columnSql, engineColumn, eventRelation, rowFiller } from "../../offline-store/event-relation.ts";
import { filesWithin } from "../../offline-store/file-pruning.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import type { SourceDefinition, ViewDefinition } from "../../define/definition.ts";
import { type CompiledDerived, compileDerived } from "../../fold/derive.ts";

/** Known after `startMicros`, and not after `endMicros`. */
export interface Stretch {
  readonly startMicros: number;
  readonly endMicros: number;
}

export interface JudgedTable {
  /** For messages: `source flights`. */
  readonly owner: string;
  readonly engine: QueryEngine;
  /** Columns that a rule may be of, stored ones first. */
  readonly columns: readonly { readonly name: string; readonly type: Column["type"] }[];
  isStored(column: string): boolean;
  /** Rows of a stretch, as SQL with the alias `s`: `FROM ... s WHERE ...`. */
  rowsSql(stretch: Stretch): string;
  /** The time of a row in microseconds, as SQL. */
  readonly timeSql: string;
  /** Of the first row, as far as the files' statistics tell; null without any. */
  readonly firstMicros: number | null;
  /** Where rows have an order of arrival: the SQL to sort by. */
  readonly orderSql: string | null;
  /** Each distinct combination of what the columns are made of, as a row of `columns`, and how many rows have it. */
  groups(
    stretch: Stretch,
    columns: readonly string[],
  ): AsyncIterableIterator<readonly (readonly [row: Row, count: number])[]>;
}

export function judgedEvents(engine: QueryEngine, source: SourceDefinition, files: readonly TableFile[]): JudgedTable {
  const { columns } = compileDerived(source);
  const where = within("_known_time");
  return table(engine, {
    owner: `source ${source.name}`,
    stored: source.columns,
    columns,
    derived: (wanted) => compileDerived(source, wanted),
    // A retraction has no event time: it is no event.
    rowsSql: (stretch) =>
      `FROM ${eventRelation(filesOf(files, "_known_time", stretch), source.columns)} s WHERE _event_time IS NOT NULL AND ${where(stretch)}`,
    time: "_known_time",
    files,
    orderSql: "_offset",
  });
}

/** The feature rows of a view: one for each entity and minute in which it changed, at the minute's begin. */
export function judgedFeatures(engine: QueryEngine, view: ViewDefinition, files: readonly TableFile[]): JudgedTable {
  const stored = view.features
    .filter(({ offline }) => offline !== false)
    .map(({ name, type }): Column => ({ name, type, nullable: true }));
  const where = within("_minute");
  const names = ["_minute", ...stored.map(({ name }) => name)].map(sqlName).join(", ");
  return table(engine, {
    owner: `view ${view.name}`,
    stored,
    columns: stored,
    derived: null,
    rowsSql: (stretch) => {
      const paths = filesOf(files, "_minute", stretch).map(({ path }) => path);
      const from =
        paths.length === 0
          ? `(SELECT NULL::TIMESTAMPTZ AS _minute${stored.map(({ name }) => `, NULL::DOUBLE AS ${sqlName(name)}`).join("")} WHERE false)`
          : `(SELECT ${names} FROM ${parquetSql(paths, "union_by_name = true")})`;
      return `FROM ${from} s WHERE ${where(stretch)}`;
    },
    time: "_minute",
    files,
    orderSql: null,
  });
}

interface TableParts {
  readonly owner: string;
  readonly stored: readonly Column[];
  readonly columns: JudgedTable["columns"];
  readonly derived: ((wanted: readonly string[]) => CompiledDerived) | null;
  rowsSql(stretch: Stretch): string;
  readonly time: string;
  readonly files: readonly TableFile[];
  readonly orderSql: string | null;
}

function table(engine: QueryEngine, parts: TableParts): JudgedTable {
  const { owner, stored, columns, derived, rowsSql, time, files, orderSql } = parts;
  return {
    owner,
    engine,
    columns,
    isStored: (column) => stored.some(({ name }) => name === column),
    rowsSql,
    timeSql: `epoch_us(${time})::DOUBLE`,
    firstMicros: firstOf(files, time),
    orderSql,
    async *groups(stretch, names) {
      const compiled = derived?.(names) ?? null;
      const needed = compiled === null ? names : compiled.storedColumnsFor(names);
      const wanted = stored.filter(({ name }) => needed.includes(name));
      const places = wanted.map((column) => stored.indexOf(column));
      const sql = `SELECT count(*)::DOUBLE${wanted.map((column) => `, ${columnSql(column)}`).join("")} ${rowsSql(stretch)} GROUP BY ALL`;
      for await (const batch of engine.stream(sql, [{ as: "number" }, ...wanted.map(engineColumn)])) {
        const fill = rowFiller(wanted, places, batch.columns.slice(1), batch.validity.slice(1));
        yield Array.from({ length: batch.rowCount }, (_, i) => {
          const row: Value[] = stored.map(() => null);
          fill(i, row);
          compiled?.deriveEach(row);
          return [row, batch.columns[0]![i] as number] as const;
        });
      }
    },
  };
}

function firstOf(files: readonly TableFile[], time: string): number | null {
  const firsts = files.flatMap(({ stats }) => {
    const first = stats?.minValues?.[time];
    return typeof first === "string" ? [parseMicros(first)] : [];
  });
  return firsts.length === 0 ? null : Math.min(...firsts);
}

function within(time: string): (stretch: Stretch) => string {
  return ({ startMicros, endMicros }) =>
    `${time} > make_timestamptz(${Math.round(startMicros)}) AND ${time} <= make_timestamptz(${Math.round(endMicros)})`;
}

function filesOf(files: readonly TableFile[], column: string, { startMicros, endMicros }: Stretch): TableFile[] {
  return filesWithin(files, column, { from: startMicros, before: endMicros + 1 });
}
