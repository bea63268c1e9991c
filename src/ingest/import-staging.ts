/**
 * Files of history, read into one staging table: rows that are surely good as typed values, all others with
 * their raw cells, for the door to judge one by one.
 *
 * A row is good without a look by the door only where SQL can tell that the door would accept it, with these
 * very values. Whatever is doubtful (a cast, a range, a constraint that SQL computes otherwise) makes a row
 * suspect, never accepted.
 */
import { extname } from "node:path";
import { OnefoldError, isOnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { sqlName, sqlText, sqlType, type QueryEngine } from "../offline-store/engine.ts";
import { filesAt, fileSql, parquetSql } from "../offline-store/file-sql.ts";
import { entityKeySql, keyIsUsableSql } from "../offline-store/entity-key-sql.ts";
import { type Column, labelOf, namesOf } from "../schema/value.ts";
import type { DoorView } from "./door.ts";
import { columnExpression, expectationSql, expressionSql, mayThrow, type ResolveSql } from "./expression-sql.ts";
import { type CsvHeader, csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";
import { findJsonFault } from "../offline-store/file-fault.ts";
import { type UnreadNames, unreadNames } from "./import-names.ts";
import { absentColumn, importColumn, type FileFormat, type ImportColumn } from "./import-columns.ts";

export interface StagingRequest {
  readonly engine: QueryEngine;
  readonly source: SourceDefinition;
  readonly views: readonly DoorView[];
  /** File column of a source column, where the names differ. */
  readonly columnMap: Readonly<Record<string, string>>;
  /** Columns of the files that are no slip, whatever they are called. */
  readonly passOver: readonly string[];
  readonly knownTimeColumn: string | null;
  /** The clock's time: history known later than this (and the source's tolerance) is none. */
  readonly now: Micros;
}

/** Decoders of a file's raw cells: one a source column, then the known time's where it has a column. */
export interface StagedFile extends UnreadNames {
  readonly path: string;
  readonly decoders: readonly ((raw: string) => unknown)[];
}

/** Columns of the staging table behind the source's own. `_raw` is null where the row is good as it is. */
export const STAGING_META: readonly (readonly [name: string, type: string])[] = [
  ["_event_time", "TIMESTAMPTZ"],
  ["_known_time", "TIMESTAMPTZ"],
  ["_id", "VARCHAR"],
  ["_file", "INTEGER"],
  ["_row", "BIGINT"],
  ["_raw", "VARCHAR[]"],
];

/** Paths that the given ones and globs name, in their order, each once. Throws `FILE_UNREADABLE`. */
export async function expandPaths(engine: QueryEngine, patterns: readonly string[]): Promise<string[]> {
  const paths = new Set<string>();
  for (const pattern of patterns) {
    const found = await filesAt(engine, pattern);
    if (found.length === 0)
      throw new OnefoldError("FILE_UNREADABLE", `there is no file ${pattern}`, { where: pattern });
    for (const path of found) paths.add(path);
  }
  return [...paths];
}

/** Creates the empty staging table. */
export async function createStaging(engine: QueryEngine, table: string, source: SourceDefinition): Promise<void> {
  const columns = [...source.columns.map(({ name, type }) => [name, sqlType(type)] as const), ...STAGING_META];
  await engine.run(
    `CREATE TABLE ${sqlName(table)} (${columns.map(([name, type]) => `${sqlName(name)} ${type}`).join(", ")})`,
  );
}

/** Adds one file's rows. Throws `FILE_UNREADABLE`, `FILE_COLUMN_MISSING`, `COLUMN_UNKNOWN`. */
export async function stageFile(
  request: StagingRequest,
  table: string,
  path: string,
  index: number,
): Promise<StagedFile> {
  const { engine, source } = request;
  const format = formatOf(path);
  try {
    const header = format === "csv" ? await readCsvHeader(path) : null;
    const described = await engine.rows(`DESCRIBE SELECT * FROM ${describedReader(path, format, header)}`);
    const types = new Map(described.map((row) => [String(row["column_name"]), String(row["column_type"])]));
    const wanted = wantedColumns(request);
    /** Of each cell: the columns of the file that it may stand in. */
    const readNames: (readonly string[])[] = [];
    const columns = wanted.map(({ column, fileColumns, isMapped }): ImportColumn => {
      // A key that JSON rows first have late in the file is no less there.
      const there = format === "json" ? fileColumns : fileColumns.filter((name) => types.has(name));
      if (there.length === 0 || column.dropped === true) {
        // Who maps a column says that it is there.
        if (column.nullable && !(isMapped && column.dropped !== true)) return absentColumn(column.type);
        throw missingColumn(path, labelOf(column), fileColumns[0]!, types.keys());
      }
      readNames.push(there);
      const cell = `_c${readNames.length - 1}`;
      const type = there.map((name) => types.get(name)).find((one) => one !== undefined);
      return importColumn(column, cell, type ?? "JSON", format, source.allowNonFinite);
    });
    const unread = unreadNames({
      path,
      present: [...types.keys()],
      nullable: wanted
        .filter(({ column }) => column.nullable && column.dropped !== true)
        .map(({ column, fileColumns }) => ({ name: labelOf(column), fileColumns })),
      asked: new Set(wanted.flatMap(({ fileColumns }) => fileColumns)),
      passOver: request.passOver,
    });
    await engine.run(
      `INSERT INTO ${sqlName(table)} ${stagingSelect(request, columns, reader(path, format, header, readNames.flat()), readNames, index)}`,
    );
    return { path, decoders: columns.map((column) => column.decode), ...unread };
  } catch (error) {
    if (!isOnefoldError(error) || error.code !== "FILE_UNREADABLE") throw error;
    const hint = `nothing of the import was taken in: mend the ${format === "csv" ? "line" : "file"} and import it again`;
    const ofRow = await csvRowError(path, error, hint);
    if (ofRow !== null) throw ofRow;
    // The engine counts lines otherwise than people do.
    const fault = format === "json" ? await findJsonFault(path) : null;
    const why = fault === null ? error.message : error.message.replace(/ in file ".*", at byte \d+ in line \d+/, "");
    throw new OnefoldError("FILE_UNREADABLE", `the file cannot be read: ${why}`, {
      where: fault === null ? path : `${path}:${fault}`,
      hint,
      cause: error,
    });
  }
}

interface WantedColumn {
  readonly column: Column;
  /** Its present name first, then former ones. */
  readonly fileColumns: readonly string[];
  readonly isMapped: boolean;
}

function wantedColumns({ source, columnMap, knownTimeColumn }: StagingRequest): WantedColumn[] {
  const columns = source.columns.map((column) => {
    const names = namesOf(column);
    const mapped = names.find((name) => columnMap[name] !== undefined);
    const isMapped = mapped !== undefined;
    return { column, fileColumns: isMapped ? [columnMap[mapped]!] : names, isMapped };
  });
  if (knownTimeColumn === null) return columns;
  const known: Column = { name: "_known_time", type: { name: "timestamp" }, nullable: false };
  return [...columns, { column: known, fileColumns: [knownTimeColumn], isMapped: true }];
}

function stagingSelect(
  request: StagingRequest,
  columns: readonly ImportColumn[],
  from: string,
  readNames: readonly (readonly string[])[],
  index: number,
): string {
  const { source, knownTimeColumn } = request;
  const cells = readNames.map((names, i) => `, ${cellSql(names)} AS _c${i}`).join("");
  const read = `SELECT row_number() OVER () - 1 AS _row${cells} FROM ${from}`;
  const names = source.columns.map(({ name }) => name);
  const values = columns.map((column, i) => `${column.value} AS ${sqlName(names[i] ?? "_known_time")}`).join(", ");
  const clean = columns.map((column) => column.clean).join(" AND ");
  const typed = `SELECT *, ${values}, (${clean}) AS _clean FROM (${read})`;
  const eventTime = sqlName(source.eventTime);
  const knownTime = knownTimeColumn === null ? defaultKnownTime(request, eventTime) : "_known_time";
  const good = ["_clean", ...goodnessOf(request, knownTime)].map((one) => `coalesce(${one}, false)`).join(" AND ");
  const judged = `SELECT *, ${eventTime} AS _event, ${knownTime} AS _known, ${idSql(source)} AS _id, (${good}) AS _good FROM (${typed})`;
  const raw = `[${columns.map((column) => column.raw).join(", ")}]`;
  return `SELECT ${names.map(sqlName).join(", ")}, _event, _known, _id, ${index}::INTEGER, _row,
    CASE WHEN _good THEN NULL ELSE ${raw} END FROM (${judged})`;
}

/** As `knownByDefault`. */
function defaultKnownTime({ source, now }: StagingRequest, eventTime: string): string {
  if (source.kind !== "stream") return eventTime;
  return `least(${eventTime} + to_microseconds(${source.availableAfterMicros}), make_timestamptz(${now}))`;
}

function cellSql(names: readonly string[]): string {
  const columns = names.map(sqlName);
  return columns.length === 1 ? columns[0]! : `coalesce(${columns.join(", ")})`;
}

/** Conditions beside the cells' own that must hold for a row to be good without the door's look. */
function goodnessOf({ source, views, now }: StagingRequest, knownTime: string): string[] {
  const tolerance = source.kind === "stream" ? source.maxFutureMicros : 0;
  const [event, known] = [`epoch_us(${sqlName(source.eventTime)})`, `epoch_us(${knownTime})`];
  const times =
    source.kind === "stream" ? [`${event} <= ${known} + ${tolerance}`, `${known} <= ${now}`] : [`${known} <= ${now}`];
  const resolve = resolverOf(source);
  const computed = [
    ...source.derived.map(({ expression }) => ({ expression, mustHold: false })),
    ...source.constraints.map(({ predicate }) => ({ expression: predicate, mustHold: true })),
  ].flatMap(({ expression, mustHold }) => {
    const compiled = expressionSql(expression, resolve);
    if (compiled === null) return mustHold || mayThrow(expression) ? ["false"] : [];
    return mustHold ? [...compiled.guards, compiled.sql] : compiled.guards;
  });
  const expected = (source.expectations ?? []).flatMap((one) => expectationSql(one, resolve));
  const keys = views.map(({ definition }) => {
    const columns = definition.key.map((name) => source.columns.find((column) => column.name === name));
    // A derived key column has no SQL: such rows all pass the door.
    if (columns.includes(undefined)) return "false";
    return keyIsUsableSql(entityKeySql(columns as Column[]));
  });
  return [...new Set([...times, ...computed, ...expected, ...keys])];
}

function resolverOf(source: SourceDefinition): ResolveSql {
  return (name) => {
    const stored = source.columns.find((column) => column.name === name);
    if (stored !== undefined) return columnExpression(name, stored.type);
    const derived = source.derived.find((column) => column.name === name);
    return derived === undefined ? null : expressionSql(derived.expression, resolverOf(source));
  };
}

function idSql(source: SourceDefinition): string {
  const column = source.columns.find(({ name }) => name === source.id);
  return column === undefined ? "NULL::VARCHAR" : `${sqlName(column.name)}::VARCHAR`;
}

const FORMATS: Readonly<Record<string, FileFormat>> = {
  ".parquet": "parquet",
  ".csv": "csv",
  ".ndjson": "json",
  ".jsonl": "json",
};

function formatOf(path: string): FileFormat {
  const format = FORMATS[extname(path).toLowerCase()];
  if (format !== undefined) return format;
  throw new OnefoldError("FILE_UNREADABLE", `${path} has an unknown format`, {
    where: path,
    hint: "give files that end in .parquet, .csv, .ndjson or .jsonl",
  });
}

/** The reader that tells a file's columns. */
function describedReader(path: string, format: FileFormat, header: CsvHeader | null): string {
  return format === "json"
    ? `read_json(${fileSql(path)}, hive_partitioning = false, format = 'newline_delimited', maximum_depth = 1)`
    : reader(path, format, header, []);
}

/** `header` is given for CSV. */
function reader(path: string, format: FileFormat, header: CsvHeader | null, columns: readonly string[]): string {
  switch (format) {
    case "parquet":
      return parquetSql(path);
    case "csv":
      return csvReaderSql(path, header!);
    case "json": {
      const typed = [...new Set(columns)].map((name) => `${sqlText(name)}: 'JSON'`).join(", ");
      return `read_json(${fileSql(path)}, hive_partitioning = false, format = 'newline_delimited', records = true, columns = {${typed}})`;
    }
  }
}

function missingColumn(path: string, column: string, fileColumn: string, present: Iterable<string>): OnefoldError {
  const names = [...present];
  return new OnefoldError(
    "FILE_COLUMN_MISSING",
    `${path} has no column "${fileColumn}" for the source's column "${column}"`,
    {
      where: path,
      hint: "rename it in the file, or map it: `--map column=file_column`, `columnMap` in code",
      candidates: nearestNames(fileColumn, names),
    },
  );
}
