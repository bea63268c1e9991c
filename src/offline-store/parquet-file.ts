/**
 * Writes a query's result as Parquet files of a table, with Delta's statistics for pruning: one file, or one in the
 * folder of each partition that has rows.
 */
import { readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { parseMicros } from "../base/micros.ts";
import type { Column, Value } from "../schema/value.ts";
import { sqlName, sqlText, type QueryEngine } from "./engine.ts";
import type { NewFile, TableFileStats, TablePartition } from "./offline-store.ts";

/** Longer texts are left out of the statistics: a cut maximum would not be one. */
const STATISTICS_TEXT_MAX = 64;
/** The folder of rows whose partition is null, in all engines. */
const NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__";

export interface ParquetFileRequest {
  /** A SELECT whose columns are those of the table, by name. */
  readonly select: string;
  /** Absolute folder of the table. */
  readonly folder: string;
  /** File name relative to it. */
  readonly name: string;
  readonly columns: readonly Column[];
  readonly tags: Readonly<Record<string, string>>;
}

export interface ParquetFilesRequest extends Omit<ParquetFileRequest, "name" | "tags"> {
  /** Begins the names of the files. Unique. */
  readonly prefix: string;
  /** How the table's files lie; undefined for a table without partitions. */
  readonly partitionBy: TablePartition | undefined;
  readonly tagsOf: (file: Omit<NewFile, "tags">) => Readonly<Record<string, string>>;
}

/** Throws `DISK_FULL`, `STORAGE_FAILED` where it cannot be written, and what the query throws: then nothing is left of it. */
export async function writeParquetFile(engine: QueryEngine, request: ParquetFileRequest): Promise<NewFile> {
  const path = join(request.folder, request.name);
  const statement = `COPY (${request.select}) TO ${sqlText(path)} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS)`;
  const [report] = await engine.rows(statement).catch(async (error: unknown) => {
    // On a full disk it would take the room that is made, once more at each attempt.
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  });
  if (report === undefined)
    throw new OnefoldError("INTERNAL", "writing a Parquet file reported nothing", { where: path });
  return { ...fileOfReport(report, request), path: request.name, tags: request.tags };
}

/** As `writeParquetFile`. Without rows there is one empty file, outside all partitions. */
export async function writeParquetFiles(engine: QueryEngine, request: ParquetFilesRequest): Promise<NewFile[]> {
  const { folder, prefix, partitionBy, select, tagsOf, columns } = request;
  if (partitionBy === undefined) {
    const file = await writeParquetFile(engine, { ...request, name: `${prefix}.parquet`, tags: {} });
    return [{ ...file, tags: tagsOf(file) }];
  }
  const { column, of } = partitionBy;
  // Microseconds without a zone: the month does not depend on the session's.
  const month = `strftime(make_timestamp(epoch_us(${sqlName(of)})), '%Y-%m')`;
  const statement = `COPY (SELECT *, ${month} AS ${sqlName(column)} FROM (${select}))
    TO ${sqlText(folder)} (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (${sqlName(column)}),
      FILENAME_PATTERN ${sqlText(`${prefix}-{uuid}`)}, APPEND, RETURN_STATS)`;
  const reports = await engine.rows(statement).catch(async (error: unknown) => {
    await removeBegun(folder, prefix).catch(() => undefined);
    throw error;
  });
  if (reports.length === 0) {
    const name = `${prefix}.parquet`;
    const file = await writeParquetFile(engine, { select, folder, columns, name, tags: {} });
    return [{ ...file, partition: { [column]: null }, tags: tagsOf(file) }];
  }
  const files = reports.map((report): Omit<NewFile, "tags"> => {
    const path = relative(folder, report["filename"] as string);
    const value = path.slice(column.length + 1, path.indexOf("/"));
    return {
      ...fileOfReport(report, request),
      path,
      partition: { [column]: value === NULL_FOLDER ? null : value },
    };
  });
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map((file): NewFile => ({ ...file, tags: tagsOf(file) }));
}

/** What a statement that failed has written, in whichever partition. */
async function removeBegun(folder: string, prefix: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && entry.name.startsWith(`${prefix}-`)) await rm(join(entry.parentPath, entry.name));
  }
}

function fileOfReport(
  report: Readonly<Record<string, Value>>,
  { columns }: { readonly columns: readonly Column[] },
): Pick<NewFile, "bytes" | "rows" | "stats"> {
  const rows = report["count"] as number;
  const statistics = JSON.parse(report["column_statistics"] as string) as Record<string, Record<string, string>>;
  return {
    bytes: report["file_size_bytes"] as number,
    rows,
    stats: deltaStatistics(rows, columns, statistics),
  };
}

/** Bounds of a timestamp column of a file that was written, microseconds; null where it has no rows or none are known. */
export function timeBounds(
  { stats }: Pick<NewFile, "stats">,
  column: string,
): { readonly first: number; readonly last: number } | null {
  const { minValues, maxValues } = JSON.parse(stats ?? "{}") as TableFileStats;
  const [min, max] = [minValues?.[column], maxValues?.[column]];
  return typeof min === "string" && typeof max === "string"
    ? { first: parseMicros(min), last: parseMicros(max) }
    : null;
}
function deltaStatistics(
  rows: number,
  columns: readonly Column[],
  statistics: Readonly<Record<string, Readonly<Record<string, string>>>>,
): string {
  const minValues: Record<string, unknown> = {};
  const maxValues: Record<string, unknown> = {};
  const nullCount: Record<string, number> = {};
  for (const column of columns) {
    if (column.type.name === "array") continue;
    const found = statistics[`"${column.name.replaceAll('"', '""')}"`];
    if (found === undefined) continue;
    nullCount[column.name] = Number(found["null_count"] ?? 0);
    const min = statisticsValue(column, found["min"]);
    const max = statisticsValue(column, found["max"]);
    if (min === null || max === null || found["has_nan"] === "true") continue;
    minValues[column.name] = min;
    maxValues[column.name] = max;
  }
  return JSON.stringify({ numRecords: rows, minValues, maxValues, nullCount });
}

/** A bound as Delta writes it, or null where it has none that is exact. */
function statisticsValue(column: Column, text: string | undefined): unknown {
  if (text === undefined) return null;
  switch (column.type.name) {
    case "int64":
      return Number.isSafeInteger(Number(text)) ? Number(text) : null;
    case "float64":
      return Number.isFinite(Number(text)) ? Number(text) : null;
    case "timestamp":
      return statisticsTime(text);
    case "string":
      return text.length <= STATISTICS_TEXT_MAX && /^[\x20-\x7e]*$/.test(text) ? text : null;
    default:
      return null;
  }
}

/** `2001-01-31 12:00:00.5+00` -> `2001-01-31T12:00:00.500000Z`; null for years that ISO text cannot hold. */
function statisticsTime(text: string): string | null {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?\+00$/.exec(text);
  if (match === null) return null;
  const iso = `${match[1]}T${match[2]}.${(match[3] ?? "").padEnd(6, "0")}Z`;
  parseMicros(iso);
  return iso;
}
