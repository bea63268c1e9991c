/**
 * What a batch source has that was not read yet, copied into the source's folder: files and the files of a Delta table one by
 * one, the answer of a query as one file. The copy is what is taken in, so that a run that is cut short goes on with the
 * same rows whatever becomes of their origin.
 *
 * What is new: of files those whose path, size or time of change were not read; with a watermark, the rows beyond the
 * largest value read, and where rows have ids also those at it, which may not all have been there.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import { type QueryEngine, sqlName, sqlText, sqlType } from "../../offline-store/engine.ts";
import { readPostgresLines } from "../../registry/postgres-client.ts";
import { type BatchState, batchFolder, type ReadFile, type StagedPart, type StagedRun } from "./batch-state.ts";
import { postgresRowsSql } from "./postgres-rows.ts";
import { copyBatchFile, copyDeclared, copyForm } from "./stage-file.ts";

/** Files of a Delta table: all, or those that were added after a version; and the newest version. */
export type TableReader = (
  location: string,
  engine: QueryEngine,
  after: number | null,
) => Promise<{ readonly files: readonly string[]; readonly version: number }>;

export interface StageRequest {
  readonly dataDir: string;
  readonly source: BatchSourceDefinition;
  readonly state: BatchState;
  readonly run: string;
  readonly engine: QueryEngine;
  readonly readTable: TableReader;
  readonly environment: (name: string) => string | undefined;
  readonly signal?: AbortSignal;
}

/** Throws `FILE_UNREADABLE`, `TABLE_INVALID`, `BATCH_SOURCE_FAILED` where the origin cannot be read. */
export async function stageRun(request: StageRequest): Promise<StagedRun> {
  const { source, dataDir, engine, state, readTable } = request;
  await mkdir(batchFolder(dataDir, source.name), { recursive: true });
  try {
    if (source.format === "postgres") return await stagePostgres(request);
    if (source.format === "sql") return await stageQuery(request, `(${source.location})`);
    const found =
      source.format === "delta"
        ? await readTable(source.location, engine, source.watermark === undefined ? state.tableVersion : null)
        : { files: await globbed(request), version: null };
    if (source.watermark === undefined) return await stageFiles(request, found.files, found.version);
    if (found.files.length === 0) return nothing(request);
    return await stageQuery(request, `read_parquet([${found.files.map(sqlText).join(", ")}], union_by_name = true)`);
  } catch (error) {
    if (isOnefoldError(error) && error.code !== "INTERNAL") throw error;
    throw new OnefoldError("BATCH_SOURCE_FAILED", `source ${source.name} cannot be read`, {
      where: source.location.slice(0, 200),
      hint: error instanceof Error ? error.message.split("\n")[0]!.slice(0, 300) : "look at its location",
      cause: error,
    });
  }
}

function nothing({ run, state }: StageRequest): StagedRun {
  const { files, watermark, tableVersion } = state;
  return { run, parts: [], changedFiles: [], files, watermark, tableVersion };
}

async function globbed({ engine, source }: StageRequest): Promise<string[]> {
  const rows = await engine.rows(`SELECT file FROM glob(${sqlText(resolve(source.location))}) ORDER BY file`);
  const files = rows.map((row) => String(row["file"]));
  // A pattern that matches nothing yet is a partition to come; a single file that is not there is a mistake.
  if (files.length > 0 || /[*?[]/.test(source.location)) return files;
  throw new OnefoldError("FILE_UNREADABLE", `${source.location} is not there`, {
    where: source.location,
    hint: "look at the location; it is relative to where onefold runs",
  });
}

async function stageFiles(
  request: StageRequest,
  paths: readonly string[],
  tableVersion: number | null,
): Promise<StagedRun> {
  const { source, state, dataDir, run, engine } = request;
  const files: Record<string, ReadFile> = { ...state.files };
  const parts: StagedPart[] = [];
  const changedFiles: string[] = [];
  for (const path of paths) {
    const { size: bytes, mtimeMs: modifiedMs } = await stat(path);
    const before = state.files[path];
    if (before !== undefined && before.bytes === bytes && before.modifiedMs === modifiedMs) continue;
    if (before !== undefined && source.id === undefined) {
      changedFiles.push(path);
      continue;
    }
    const name = `${run}-${parts.length}.${copyForm(source).ending}`;
    await copyBatchFile(engine, source, path, join(batchFolder(dataDir, source.name), name));
    parts.push({ from: path, name });
    files[path] = { bytes, modifiedMs };
  }
  return {
    run,
    parts,
    changedFiles,
    files: tableVersion === null ? files : {},
    watermark: state.watermark,
    tableVersion,
  };
}

async function stageQuery(request: StageRequest, relation: string): Promise<StagedRun> {
  const { source, state, run, engine, dataDir } = request;
  const { watermark } = source;
  const name = `${run}-0.parquet`;
  const path = join(batchFolder(dataDir, source.name), name);
  const table = `batch_${randomUUID()}`;
  let where = "";
  let order = "";
  if (watermark !== undefined) {
    const { column, bound } = watermarkBound(source, state.watermark, sqlType);
    where = bound === null ? "" : ` WHERE ${bound}`;
    order = ` ORDER BY ${column}`;
  }
  try {
    await engine.run(`CREATE TABLE ${sqlName(table)} AS SELECT * FROM ${relation} q${where}${order}`);
    const largest = watermark === undefined ? "NULL" : `max(${sqlName(watermark.column)})::VARCHAR`;
    const [counted] = await engine.rows(`SELECT count(*)::DOUBLE AS n, ${largest} AS largest FROM ${sqlName(table)}`);
    if (Number(counted!["n"]) === 0) return nothing(request);
    await copyDeclared(engine, source, sqlName(table), source.location, path);
    const reached = counted!["largest"];
    return {
      run,
      parts: [{ from: source.location, name }],
      changedFiles: [],
      files: state.files,
      tableVersion: state.tableVersion,
      watermark: typeof reached === "string" ? reached : state.watermark,
    };
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(table)}`);
  }
}

/** The condition under which a row is new, in SQL that both engines understand. */
function watermarkBound(
  { watermark, columns, id }: BatchSourceDefinition,
  reached: string | null,
  typeOf: typeof sqlType,
): { readonly column: string; readonly bound: string | null } {
  const column = sqlName(watermark!.column);
  if (reached === null) return { column, bound: null };
  const { type } = columns.find(({ name }) => name === watermark!.column)!;
  const { lookbackMicros = 0 } = watermark!;
  const text = `CAST(${sqlText(reached)} AS ${typeOf(type)})`;
  const from = lookbackMicros === 0 ? text : `${text} - INTERVAL '${lookbackMicros} microseconds'`;
  return { column, bound: `${column} ${id === undefined ? ">" : ">="} ${from}` };
}

const POSTGRES_TYPES: Readonly<Record<string, string>> = { timestamp: "timestamptz", int64: "bigint", string: "text" };

async function stagePostgres(request: StageRequest): Promise<StagedRun> {
  const { source, state, run, dataDir, environment, signal } = request;
  const { connectionEnv, watermark } = source;
  const url = environment(connectionEnv!);
  if (url === undefined || url === "") {
    throw new OnefoldError("BATCH_SOURCE_FAILED", `the environment variable ${connectionEnv} is not set`, {
      where: source.name,
      hint: `set it to the URL of the database: ${connectionEnv}=postgres://user:password@host:5432/database`,
    });
  }
  const bound =
    watermark === undefined ? null : watermarkBound(source, state.watermark, ({ name }) => POSTGRES_TYPES[name]!);
  const sql = postgresRowsSql(source, bound);
  const name = `${run}-0.ndjson`;
  const path = join(batchFolder(dataDir, source.name), name);
  const file = await open(path, "w");
  let count = 0;
  let reached = state.watermark;
  try {
    for await (const rows of readPostgresLines(url, sql, signal)) {
      await file.write(rows.map(({ line }) => `${line}\n`).join(""));
      count += rows.length;
      reached = rows.at(-1)?.mark ?? reached;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (count > 0) return { ...nothing(request), parts: [{ from: source.name, name }], watermark: reached };
  await rm(path, { force: true });
  return nothing(request);
}
