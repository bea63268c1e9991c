/**
 * Open tables of Parquet: the full history of events and of feature rows.
 *
 * Contract, held by one conformance suite:
 * - a commit is atomic and put-if-absent: of two writers of one version, one gets `TABLE_CONFLICT`;
 * - `txn` (application id, version) travels in the same commit as the rows, so that a replayed commit
 *   can be recognised; `lastTxn` returns the newest committed version of an application id;
 * - another engine (delta-rs, Spark, DuckDB's delta reader) can read the table as it is.
 */
import type { Micros } from "../base/micros.ts";
import type { Column } from "../schema/value.ts";

export interface TableSchema {
  readonly columns: readonly Column[];
  /** Of a table in partitions; settled when it is created. */
  readonly partitionBy?: TablePartition;
}

/**
 * A table's files lie in folders by the UTC month of a time: `_month=2001-05/`. The month is a text column that readers
 * of the format see beside the others; it is not in the files. A time has a month as well as a day, and a month's events
 * are few enough for a folder and enough for files worth opening.
 */
export interface TablePartition {
  readonly column: "_month";
  /** The timestamp column that it is the month of. */
  readonly of: string;
}

/** A Parquet file that is part of a table version. Paths are absolute. */
export interface TableFile {
  readonly path: string;
  readonly bytes: number;
  readonly rows: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Values of the table's partition columns, as text; empty in a table without any. */
  readonly partition?: Readonly<Record<string, string | null>>;
  /** What is known of its columns without opening it. */
  readonly stats?: TableFileStats;
}

/** Bounds of a file's columns, as the table's log has them: times as ISO text. Absent where not known. */
export interface TableFileStats {
  readonly minValues?: Readonly<Record<string, unknown>>;
  readonly maxValues?: Readonly<Record<string, unknown>>;
  readonly nullCount?: Readonly<Record<string, unknown>>;
}

export interface TableTxn {
  readonly applicationId: string;
  readonly version: number;
  /** What the writer went on from, null for nothing: where the table holds another version, `TABLE_CONFLICT`. */
  readonly after?: number | null;
}

export interface TableSnapshot {
  /** Version of the table, counted from 0. */
  readonly version: number;
  readonly schema: TableSchema;
  readonly files: readonly TableFile[];
  /** Files of earlier versions that are no longer part of the table, and were not replaced by others (rows unknown: 0). */
  readonly removed: readonly TableFile[];
  /** Newest committed version of each application id. */
  readonly txns: ReadonlyMap<string, number>;
}

/** A Parquet file already written inside the table's folder, to be added by a commit. */
export interface NewFile {
  /** Relative to the table's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly rows: number;
  /** Delta statistics as JSON text, where known. */
  readonly stats?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly partition?: Readonly<Record<string, string | null>>;
}

/**
 * Files of the table whose place one new file takes, or one of `TableSnapshot.removed`, which then goes on standing, in
 * the new file, for what it stood for. What was replaced stands for nothing any more, and is in no `removed`.
 */
export interface FileReplacement {
  /** Relative to the table's folder. Where one is no part of the table any more, `TABLE_CONFLICT`. */
  readonly paths: readonly string[];
  readonly by: NewFile;
}

export interface TableCommit {
  readonly add: readonly NewFile[];
  /** Paths relative to the table's folder. Where one is no part of the table any more, `TABLE_CONFLICT`. */
  readonly remove?: readonly string[];
  readonly replace?: readonly FileReplacement[];
  readonly txn?: readonly TableTxn[];
  /** In place of the table's own: what all its files are like from then on. */
  readonly columns?: readonly Column[];
  /** Shown in the table's history. */
  readonly operation: string;
  /** False where the rows stay the same and only their files change. */
  readonly dataChange?: boolean;
  /** What the change was decided by, where another's commit since then may have made that wrong. */
  readonly decidedBy?: {
    readonly version: number;
    /** Whether the decision hung on there being no such file: where a commit since then has added one, `TABLE_CONFLICT`. */
    readonly hangsOn: (added: TableFile) => boolean;
  };
}

export interface TableVersion {
  readonly version: number;
  /** Null where the writer did not say. */
  readonly committedAt: Micros | null;
  readonly operation: string | null;
  readonly filesAdded: number;
  readonly filesRemoved: number;
  /** Of the files added. */
  readonly rowsAdded: number;
}

export interface CleanUpRequest {
  /** Files that left the table, or were never part of it, longer ago than this go; the latter a day ago at least. */
  readonly keptMillis: number;
  /** Versions older than this, and than a day, cannot be read any more. */
  readonly logKeptMillis: number;
  /** Of a file that left the table: false where it is kept for what it meant then. */
  readonly isUnneeded: (file: TableFile) => boolean;
  /** Says what would be deleted, where the storage's clock shows what this process's does; writes and deletes nothing. */
  readonly dryRun?: boolean;
}

export interface CleanUpReport {
  /** Files of rows. */
  readonly files: readonly string[];
  readonly bytes: number;
  readonly logFiles: number;
}

export interface OfflineTable {
  /** Absolute folder of the table: where new Parquet files are to be written before their commit. */
  readonly folder: string;
  /**
   * The newest snapshot, or the one of a version, or of the newest version committed at a time or before. Throws
   * `TABLE_VERSION_UNKNOWN`, and `TABLE_VERSION_GONE` where vacuum has removed a file of it.
   */
  snapshot(at?: number | { readonly committedBy: Micros }): Promise<TableSnapshot>;
  lastTxn(applicationId: string): Promise<number | null>;
  /**
   * Commits, retrying behind other writers' commits unless one carried the same txn application id.
   * Returns the new version. Throws `TABLE_CONFLICT`.
   */
  commit(change: TableCommit): Promise<number>;
  /**
   * Deletes those of the files, written for a commit, that no commit names; never rejects. A commit that was answered with an
   * error may have come about all the same.
   */
  discard(files: readonly Pick<NewFile, "path">[]): Promise<void>;
  /** Files of rows that no version names, relative to the folder: what a writer that was killed has left, or is about to commit. */
  unnamed(): Promise<string[]>;
  /** What each of the newest versions did, the newest first; ends where the log was cleaned away. */
  history(limit: number): Promise<TableVersion[]>;
  /**
   * Deletes files that left the table, as `vacuum`, and those that never were part of it, entries of the log and temporary
   * files that nobody needs. What is left of the table can be read at any moment of it, and if it is cut short.
   */
  cleanUp(request: CleanUpRequest): Promise<CleanUpReport>;
  /**
   * Deletes what left the table, at once, with all that its log says of the rows in it. Safe beside writers; readers that still
   * have such files in their lists fail. May be done again wherever it was cut short.
   */
  erase(isUnneeded: (file: TableFile) => boolean): Promise<void>;
  /** Deletes files that left the table more than `keptMillis` ago and that no one needs any more. Returns how many. */
  vacuum(keptMillis: number, isUnneeded: (file: TableFile) => boolean): Promise<number>;
}

export interface OfflineStore {
  /**
   * Opens the table, creating it with `schema` if absent. Columns that `schema` has in addition are added
   * (null in older rows), and those that it has wider are left as they are (`widened-table.ts`); any other difference throws
   * `TABLE_INVALID`.
   */
  table(name: string, schema: TableSchema): Promise<OfflineTable>;
  /** Names of all tables, sorted. */
  names(): Promise<string[]>;
  /** Opens the table if it exists. */
  find(name: string): Promise<OfflineTable | null>;
  /**
   * Deletes a table that nobody writes any more, for good, and resolves to the bytes that its files took; cut short, it can be
   * done again. Whoever reads it meanwhile may fail.
   */
  drop(name: string): Promise<number>;
}
