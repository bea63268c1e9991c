/**
 * One file of a batch source, copied: the columns that the source declares, read to the file's end, so that whatever is wrong
 * in it shows before the first of its rows is taken in.
 */
import { copyFile } from "node:fs/promises";
import { isOnefoldError, OnefoldError } from "../../base/errors.ts";
import { syncPath } from "../../base/sync-path.ts";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import { csvReaderSql, csvRowError, readCsvHeader } from "../../offline-store/csv-file.ts";
import { type QueryEngine, sqlName, sqlText } from "../../offline-store/engine.ts";
import { parquetSql } from "../../offline-store/file-sql.ts";
import { type Column, labelOf, namesOf } from "../../schema/value.ts";
import { readRowFile } from "../row-file.ts";
import { withPathColumns } from "./path-columns.ts";

/** How the copy's rows are to be read: `text` where all its columns are, as of CSV. */
export interface FileCopy {
  readonly ending: "parquet" | "ndjson";
  readonly isText: boolean;
}

export function copyForm({ format }: BatchSourceDefinition): FileCopy {
  if (format === "ndjson") return { ending: "ndjson", isText: false };
  return { ending: "parquet", isText: format === "csv" };
}

const MEND = "mend the file and run again: nothing of this run was taken in";

/** Throws `FILE_UNREADABLE`, with the line where there is one, and `FILE_COLUMN_MISSING`. */
export async function copyBatchFile(
  engine: QueryEngine,
  source: BatchSourceDefinition,
  from: string,
  to: string,
): Promise<void> {
  if (source.format === "ndjson") {
    await copyFile(from, to);
    await syncPath(to);
    const request = { path: to, columns: [], rowsPerBatch: 10_000, openEngine: () => Promise.resolve(engine) };
    // Only to see that every line is JSON.
    for await (const _rows of readRowFile(request)) continue;
    return;
  }
  try {
    const header = source.format === "csv" ? await readCsvHeader(from) : null;
    const rows = await withPathColumns(engine, source, [from], (...options) =>
      header === null ? parquetSql(from, ...options) : csvReaderSql(from, header, ...options),
    );
    await copyDeclared(engine, source, rows, from, to);
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    const atRow = source.format === "csv" ? await csvRowError(from, error, MEND) : null;
    if (atRow !== null || error.code !== "FILE_UNREADABLE") throw atRow ?? error;
    throw new OnefoldError(error.code, error.message, {
      where: error.where ?? from,
      hint: error.hint ?? MEND,
      cause: error,
    });
  }
}

/** `relation`'s columns that the source declares, as a file of Parquet, which is on disk then. */
export async function copyDeclared(
  engine: QueryEngine,
  source: BatchSourceDefinition,
  relation: string,
  from: string,
  to: string,
): Promise<void> {
  const described = await engine.rows(`DESCRIBE SELECT * FROM ${relation}`);
  const there = described.map((column) => String(column["column_name"]));
  const columns = declaredAmong(source, there, from).map(({ name }) => sqlName(name));
  await engine.run(`COPY (SELECT ${columns.join(", ")} FROM ${relation}) TO ${sqlText(to)} (FORMAT parquet)`);
  await syncPath(to);
}

/** What of the columns that are `there` the source declares, under any name that they have had. Throws `FILE_COLUMN_MISSING`. */
export function declaredAmong(
  source: BatchSourceDefinition,
  there: readonly string[],
  from: string,
): readonly Pick<Column, "name" | "type">[] {
  const isThere = (name: string): boolean => there.includes(name);
  const missing = source.columns.filter((column) => !column.nullable && !namesOf(column).some(isThere));
  if (missing.length > 0) {
    throw new OnefoldError("FILE_COLUMN_MISSING", `there is no column ${missing.map(labelOf).join(", ")}`, {
      where: `source ${source.name}, ${from.slice(0, 200)}`,
      hint: "name the columns as the source does, or declare the column nullable",
      candidates: there,
    });
  }
  return source.columns.flatMap((column) =>
    namesOf(column)
      .filter(isThere)
      .map((name) => ({ name, type: column.type })),
  );
}
