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
import { join, relative, resolve } from "node:path";
import { isOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import { type QueryEngine, sqlName, sqlText, sqlType } from "../../offline-store/engine.ts";
import { filesAt, parquetSql } from "../../offline-store/file-sql.ts";
import { fixedFolder, withPathColumns } from "./path-columns.ts";
import { readPostgresLines } from "../../registry/postgres-client.ts";
import type { ValueType } from "../../schema/value.ts";
import { type BatchState, batchFolder, type ReadFile, type StagedPart, type StagedRun } from "./batch-state.ts";
import { postgresColumnsSql, postgresRowsSql } from "./postgres-rows.ts";
import { reachedMark } from "./reached-mark.ts";
import { subquery } from "./query-text.ts";
import { copyBatchFile, copyDeclared, copyForm } from "./stage-file.ts";

/** As `readDeltaFiles`: files of a Delta table, all or those that came after a version, and the newest version. */
export type TableReader = (
  location: string,
  engine: QueryEngine,
  after: { readonly version: number; readonly tableId: string | null } | null,
) => Promise<{
  readonly files: readonly string[];
  readonly rewritten: readonly string[];
  readonly version: number;
  readonly tableId: string | null;
}>;

export interface StageRequest {
  readonly dataDir: string;
  readonly source: BatchSourceDefinition;
  readonly state: BatchState;
  readonly run: string;
  readonly engine: QueryEngine;
  readonly readTable: TableReader;
  readonly environment: (name: string) => string | undefined;
  readonly signal: AbortSignal;
}

export function cancelled({ name }: BatchSourceDefinition, cause?: unknown): OnefoldError {
  return new OnefoldError("CANCELLED", `the run of ${name} was cancelled`, { where: name, cause });
}

/** Throws `CANCELLED`; `FILE_UNREADABLE`, `TABLE_INVALID`, `BATCH_SOURCE_FAILED` where the origin cannot be read. */
export async function stageRun(request: StageRequest): Promise<StagedRun> {
  const { source, dataDir, engine, readTable, signal } = request;
  await mkdir(batchFolder(dataDir, source.name), { recursive: true });
  try {
    signal.throwIfAborted();
    if (source.format === "postgres") return await stagePostgres(request);
    if (source.format === "sql") return await stageQuery(request, subquery(source.location));
    if (source.format !== "delta") {
      const paths = await globbed(request);
      return source.watermark === undefined ? await stageFiles(request, paths) : await stageMarked(request, paths);
    }
    if (source.watermark !== undefined) {
      return await stageMarked(request, (await readTable(source.location, engine, null)).files);
    }
    return await stageTable(request);
  } catch (error) {
    if (signal.aborted) throw cancelled(source, error);
    if (isOnefoldError(error) && error.code !== "INTERNAL") throw error;
    throw new OnefoldError("BATCH_SOURCE_FAILED", `source ${source.name} cannot be read`, {
      where: source.location.slice(0, 200),
      hint: error instanceof Error ? error.message.split("\n")[0]!.slice(0, 300) : "look at its location",
      cause: error,
    });
  }
}

function nothing({ run, state }: StageRequest): StagedRun {
  const { files, watermark, tableVersion, tableId } = state;
  return { run, parts: [], changedFiles: [], files, watermark, tableVersion, tableId };
}

/** The rows of files that are beyond the watermark, in all of them together. */
async function stageMarked(request: StageRequest, paths: readonly string[]): Promise<StagedRun> {
  if (paths.length === 0) return nothing(request);
  const { engine, source } = request;
  return stageQuery(
    request,
    await withPathColumns(engine, source, paths, (...options) => parquetSql(paths, "union_by_name = true", ...options)),
  );
}

async function globbed({ engine, source }: StageRequest): Promise<string[]> {
  const files = (await filesAt(engine, source.location)).map((path) => resolve(path));
  // A pattern that matches nothing yet is a partition to come; a single file that is not there is a mistake.
  if (files.length > 0 || /[*?[]/.test(source.location)) return files;
  throw new OnefoldError("FILE_UNREADABLE", `${source.location} is not there`, {
    where: source.location,
    hint: "look at the location; it is relative to where onefold runs",
  });
}

/**
 * A file is known by its path behind the fixed part of the location, so that a folder that has moved, or is mounted elsewhere,
 * is not read again.
 */
async function stageFiles(request: StageRequest, paths: readonly string[]): Promise<StagedRun> {
  const { source, state } = request;
  const root = fixedFolder(source);
  const files: Record<string, ReadFile> = { ...state.files };
  const parts: StagedPart[] = [];
  const changedFiles: string[] = [];
  for (const path of paths) {
    const { size: bytes, mtimeMs: modifiedMs } = await stat(path);
    const key = relative(root, path);
    const before = state.files[key];
    if (before !== undefined && before.bytes === bytes && before.modifiedMs === modifiedMs) continue;
    if (before !== undefined && source.id === undefined) {
      changedFiles.push(path);
      continue;
    }
    parts.push(await stageFile(request, path, parts.length));
    files[key] = { bytes, modifiedMs };
  }
  return { ...nothing(request), parts, changedFiles, files };
}

/** A version that also took rows out may bring back those that it left in: only ids can tell. */
async function stageTable(request: StageRequest): Promise<StagedRun> {
  const { source, state, engine, readTable } = request;
  const { tableVersion, tableId } = state;
  const after = tableVersion === null ? null : { version: tableVersion, tableId };
  const found = await readTable(source.location, engine, after);
  const paths = source.id === undefined ? found.files : [...found.files, ...found.rewritten];
  const parts: StagedPart[] = [];
  for (const path of paths) parts.push(await stageFile(request, path, parts.length));
  const changedFiles = source.id === undefined ? found.rewritten : [];
  const { version, tableId: id } = found;
  return { ...nothing(request), parts, changedFiles, files: {}, tableVersion: version, tableId: id };
}

async function stagedPart(from: string, name: string, copy: string): Promise<StagedPart> {
  return { from, name, bytes: (await stat(copy)).size };
}

async function stageFile(request: StageRequest, path: string, place: number): Promise<StagedPart> {
  const { source, dataDir, run, engine, signal } = request;
  signal.throwIfAborted();
  const name = `${run}-${place}.${copyForm(source).ending}`;
  const copy = join(batchFolder(dataDir, source.name), name);
  await copyBatchFile(engine, source, path, copy);
  return stagedPart(path, name, copy);
}

async function stageQuery(request: StageRequest, relation: string): Promise<StagedRun> {
  const { source, state, run, engine, dataDir } = request;
  const { watermark } = source;
  const name = `${run}-0.parquet`;
  const path = join(batchFolder(dataDir, source.name), name);
  const table = `batch_${randomUUID()}`;
  const mark = watermark === undefined ? null : watermarkSql(source, reachedMark(source, state), DUCKDB);
  const rows = mark === null ? "" : ` WHERE ${mark.isNew} ORDER BY ${mark.value}`;
  try {
    await engine.run(`CREATE TABLE ${sqlName(table)} AS SELECT * FROM ${relation} q${rows}`);
    const largest = mark === null ? "NULL" : `max(${mark.value})::VARCHAR`;
    const [counted] = await engine.rows(`SELECT count(*)::DOUBLE AS n, ${largest} AS largest FROM ${sqlName(table)} q`);
    if (Number(counted!["n"]) === 0) return nothing(request);
    await copyDeclared(engine, source, sqlName(table), source.location, path);
    const reached = counted!["largest"];
    return {
      ...nothing(request),
      parts: [await stagedPart(source.location, name, path)],
      watermark: typeof reached === "string" ? reached : state.watermark,
    };
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(table)}`);
  }
}

interface Dialect {
  typeOf(type: ValueType): string;
  /** Whether it compares times of any kind with those of a zone; a cast would keep it from its indexes. */
  readonly compares: boolean;
}

const POSTGRES_TYPES: Readonly<Record<string, string>> = { timestamp: "timestamptz", int64: "bigint", string: "text" };
const DUCKDB: Dialect = { typeOf: sqlType, compares: false };
const POSTGRES: Dialect = { typeOf: ({ name }) => POSTGRES_TYPES[name]!, compares: true };

/**
 * The watermark of a row of `q`, and the condition under which it is new, in SQL that both engines understand. A time without a zone
 * is one in UTC, as it is in the bound. A row that has no mark would come again with every run: it is passed over. So is one of an
 * infinite time, beyond which nothing would be new any more.
 */
function watermarkSql(
  { watermark, columns, id }: BatchSourceDefinition,
  reached: string | null,
  { typeOf, compares }: Dialect,
): { readonly value: string; readonly isNew: string } {
  const { column, lookbackMicros = 0 } = watermark!;
  const declared = columns.find(({ name }) => name === column)!.type;
  const type = typeOf(declared);
  const name = `q.${sqlName(column)}`;
  const value = compares ? name : `CAST(${name} AS ${type})`;
  const isMark = declared.name === "timestamp" ? `isfinite(CAST(${name} AS ${type}))` : `${value} IS NOT NULL`;
  if (reached === null) return { value, isNew: isMark };
  const text = `CAST(${sqlText(reached)} AS ${type})`;
  const from = lookbackMicros === 0 ? text : `${text} - INTERVAL '${lookbackMicros} microseconds'`;
  return { value, isNew: `${value} ${id === undefined ? ">" : ">="} ${from} AND ${isMark}` };
}

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
  const mark = watermark && watermarkSql(source, reachedMark(source, state), POSTGRES);
  const query = {
    columnsSql: postgresColumnsSql(source),
    rowsSql: (columns: readonly string[]) => postgresRowsSql(source, columns, mark),
  };
  const name = `${run}-0.ndjson`;
  const path = join(batchFolder(dataDir, source.name), name);
  const file = await open(path, "w");
  let count = 0;
  let reached = state.watermark;
  try {
    for await (const rows of readPostgresLines(url, query, signal)) {
      await file.write(rows.map(({ line }) => `${line}\n`).join(""));
      count += rows.length;
      reached = rows.at(-1)?.mark ?? reached;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (count > 0) {
    return { ...nothing(request), parts: [await stagedPart(source.name, name, path)], watermark: reached };
  }
  await rm(path, { force: true });
  return nothing(request);
}
