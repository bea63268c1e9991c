/**
 * Writes a query's result as one Parquet file of a table, with Delta's statistics for pruning.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { parseMicros } from "../base/micros.ts";
import type { Column } from "../schema/value.ts";
import { sqlText, type QueryEngine } from "./engine.ts";
import type { NewFile } from "./offline-store.ts";

/** Longer texts are left out of the statistics: a cut maximum would not be one. */
const STATISTICS_TEXT_MAX = 64;

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
  const rows = report["count"] as number;
  const statistics = JSON.parse(report["column_statistics"] as string) as Record<string, Record<string, string>>;
  return {
    path: request.name,
    bytes: report["file_size_bytes"] as number,
    rows,
    stats: deltaStatistics(rows, request.columns, statistics),
    tags: request.tags,
  };
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
