/**
 * Files of a table written anew, in one commit: with other rows, for what takes rows out of a table or mends them, or
 * several in one with the same rows.
 *
 * A file that is written anew alone takes over its tags and its partition, so it stands where the old one stood: in the order of an event
 * archive, among the places of a partition's archive. A file that left the table but is kept for what it meant then (a
 * history file of an earlier epoch) is written anew outside the table, and goes on meaning that. The old files stay on
 * disk until vacuum takes them.
 *
 * Others may commit meanwhile. Where one has removed a file that is being written anew (a compaction), or added one that
 * the plan would have taken in (`hangsOn`), what was written is thrown away and the plan is made again from the newest
 * version: so what is committed is the plan of the very version that it goes in front of.
 */
import { randomUUID } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { assert } from "../base/assert.ts";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Column } from "../schema/value.ts";
import type { QueryEngine } from "./engine.ts";
import { parquetSql } from "./file-sql.ts";
import type { NewFile, OfflineTable, TableCommit, TableFile, TableSnapshot, TableTxn } from "./offline-store.ts";
import { writeParquetFile } from "./parquet-file.ts";

/** Each attempt goes on from a newer version; so many in a row mean that somebody commits all the time. */
const ATTEMPTS = 10;

export interface FileRewrite {
  /** Of the snapshot's `files`, all in one partition, that one new file takes the place of; or one of its `removed`. */
  readonly files: readonly TableFile[];
  /** A SELECT of the columns that the new file is to have, in the order of its rows. */
  readonly select: string;
  /** Default: those of the first. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Begins the new file's name. */
  readonly prefix?: string;
}

export interface RewriteRequest {
  /** Shown in the table's history. */
  readonly operation: string;
  /** What is to be written anew of this version; asked again after a conflict. None: nothing is committed. */
  plan(snapshot: TableSnapshot): Promise<readonly FileRewrite[]>;
  /** Whether the plan might have been another, had there been this file. Default: no file that is added matters. */
  hangsOn?(added: TableFile): boolean;
  readonly txn?: readonly TableTxn[];
  /** False where the rows stay the same. */
  readonly dataChange?: boolean;
  /** What the columns of the new files are, and of the table from then on. Default: those of the table. */
  readonly columns?: readonly Column[];
}

export interface RewriteReport {
  /** Of the commit; of the version that was looked at where there was nothing to do. */
  readonly version: number;
  /** The files that were replaced. */
  readonly replaced: readonly TableFile[];
  readonly rowsWritten: number;
}

/** Throws `TABLE_CONFLICT` where others commit against it again and again, and what plan and engine throw. */
export async function rewriteFiles(
  table: OfflineTable,
  engine: QueryEngine,
  request: RewriteRequest,
): Promise<RewriteReport> {
  for (let attempt = 1; ; attempt++) {
    const snapshot = await table.snapshot();
    const rewrites = await request.plan(snapshot);
    if (rewrites.length === 0) return { version: snapshot.version, replaced: [], rowsWritten: 0 };
    const written: NewFile[] = [];
    try {
      const columns = request.columns ?? snapshot.schema.columns;
      for (const rewrite of rewrites) written.push(await writeAnew(table, engine, columns, rewrite));
      const version = await table.commit(commitOf(table, snapshot, request, rewrites, written));
      const rowsWritten = written.reduce((sum, { rows }) => sum + rows, 0);
      return { version, replaced: rewrites.flatMap(({ files }) => files), rowsWritten };
    } catch (error) {
      await table.discard(written);
      if (!isOnefoldError(error) || error.code !== "TABLE_CONFLICT" || attempt === ATTEMPTS) throw error;
    }
  }
}

/** The files among these that have rows of which the SQL condition is true. Columns that a file lacks are null in it. */
export async function filesWith(
  engine: QueryEngine,
  files: readonly TableFile[],
  condition: string,
): Promise<TableFile[]> {
  if (files.length === 0) return [];
  const rows = parquetSql(
    files.map(({ path }) => path),
    "filename = true",
    "union_by_name = true",
  );
  const found = await engine.rows(`SELECT DISTINCT filename AS path FROM ${rows} WHERE ${condition}`);
  const matching = new Set(found.map(({ path }) => path));
  return files.filter(({ path }) => matching.has(path));
}

/**
 * Deletes files that no version names and that have rows of which the condition is true: what a writer that was killed has left, or
 * is too late to commit. One that nobody can read, as it is being written or never was to its end, stays.
 */
export async function discardUnnamed(engine: QueryEngine, table: OfflineTable, condition: string): Promise<void> {
  for (const path of await table.unnamed()) {
    const found = await engine
      .rows(`SELECT 1 AS found FROM ${fileRelation({ path: join(table.folder, path) })} WHERE ${condition} LIMIT 1`)
      .catch((error: unknown) => {
        if (isOnefoldError(error) && (error.code === "FILE_UNREADABLE" || error.code === "TABLE_VERSION_GONE"))
          return [];
        throw error;
      });
    if (found.length > 0) await table.discard([{ path }]);
  }
}

/** A file's rows as a relation for SQL. */
export function fileRelation({ path }: Pick<TableFile, "path">): string {
  return parquetSql(path);
}

async function writeAnew(
  table: OfflineTable,
  engine: QueryEngine,
  columns: readonly Column[],
  { files, select, tags, prefix = "rewritten" }: FileRewrite,
): Promise<NewFile> {
  const [first] = files;
  assert(first !== undefined, "a new file takes the place of at least one");
  const folder = dirname(relative(table.folder, first.path));
  if (folder.startsWith("..")) {
    throw new OnefoldError("TABLE_INVALID", "a file outside its table's folder cannot be written anew", {
      where: first.path,
    });
  }
  const name = `${prefix}-${randomUUID()}.parquet`;
  const anew = await writeParquetFile(engine, {
    select,
    folder: table.folder,
    name: folder === "." ? name : `${folder}/${name}`,
    columns,
    tags: tags ?? first.tags,
  });
  return { ...anew, partition: first.partition ?? {} };
}

function commitOf(
  table: OfflineTable,
  snapshot: TableSnapshot,
  request: RewriteRequest,
  rewrites: readonly FileRewrite[],
  written: readonly NewFile[],
): TableCommit {
  const { hangsOn, operation, txn, dataChange = true, columns } = request;
  return {
    operation,
    ...(columns === undefined ? {} : { columns }),
    add: [],
    replace: rewrites.map(({ files }, i) => ({
      paths: files.map(({ path }) => relative(table.folder, path)),
      by: written[i]!,
    })),
    dataChange,
    ...(txn === undefined ? {} : { txn }),
    ...(hangsOn === undefined
      ? {}
      : { decidedBy: { version: snapshot.version, hangsOn: (added) => hangsOn.call(request, added) } }),
  };
}
