/**
 * Checkpoints: a table version's whole state as one Parquet file, so that opening a table does not read
 * every commit since its beginning.
 *
 * A checkpoint only repeats what commits say. One that cannot be read is passed over for an earlier one,
 * or for the commits themselves; one cut short while being written never got its name.
 *
 * `_last_checkpoint` names the newest one, and only ever goes on: by it a writer that stood still notices that the log was
 * cleaned beyond what it knows. A checkpoint that comes when there is a newer one is taken away again: nobody needs it,
 * and it may say of rows what was erased meanwhile.
 */
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { formatActions, type DeltaAction } from "./delta-actions.ts";
import { sqlText, type QueryEngine } from "./engine.ts";
import { fileSql, parquetSql } from "./file-sql.ts";
import type { DeltaState } from "./delta-state.ts";
import type { TableStorage } from "./table-storage.ts";

const MAP = "MAP(VARCHAR, VARCHAR)";
const COLUMNS = [
  ["txn", "STRUCT(appId VARCHAR, version BIGINT, lastUpdated BIGINT)"],
  [
    "add",
    `STRUCT(path VARCHAR, partitionValues ${MAP}, size BIGINT, modificationTime BIGINT, dataChange BOOLEAN, stats VARCHAR, tags ${MAP})`,
  ],
  [
    "remove",
    `STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, extendedFileMetadata BOOLEAN, partitionValues ${MAP}, size BIGINT, tags ${MAP})`,
  ],
  [
    "metaData",
    `STRUCT(id VARCHAR, name VARCHAR, description VARCHAR, format STRUCT(provider VARCHAR, options ${MAP}), schemaString VARCHAR, partitionColumns VARCHAR[], configuration ${MAP}, createdTime BIGINT)`,
  ],
  ["protocol", "STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER)"],
] as const;

const CHECKPOINT_NAME = /^(\d{20})\.checkpoint(?:\.\d{10}\.\d{10})?\.parquet$/;

interface Checkpoint {
  readonly version: number;
  /** Several for a multi-part one. */
  readonly files: readonly string[];
}

/** Versions that have a checkpoint, newest first. */
export function checkpointsIn(names: readonly string[]): Checkpoint[] {
  const files = new Map<number, string[]>();
  for (const name of names.toSorted()) {
    const match = CHECKPOINT_NAME.exec(name);
    if (match === null) continue;
    const version = Number(match[1]);
    files.set(version, [...(files.get(version) ?? []), name]);
  }
  return [...files].map(([version, list]) => ({ version, files: list })).toSorted((a, b) => b.version - a.version);
}

/** Actions of a checkpoint, or null where it cannot be read. */
export async function readCheckpoint(
  engine: QueryEngine,
  logFolder: string,
  files: readonly string[],
): Promise<DeltaAction[] | null> {
  const paths = files.map((name) => join(logFolder, name));
  try {
    const rows = await engine.rows(`SELECT to_json(t)::VARCHAR AS action FROM ${parquetSql(paths)} t`);
    return rows.map((row) => JSON.parse(row["action"] as string) as DeltaAction);
  } catch {
    return null;
  }
}

const POINTER = "_last_checkpoint";

/** The version that `_last_checkpoint` names; -1 where it names none. */
export async function lastCheckpoint(storage: TableStorage, logFolder: string): Promise<number> {
  const text = await storage.read(join(logFolder, POINTER));
  try {
    const { version } = JSON.parse(text ?? "{}") as { readonly version?: unknown };
    return typeof version === "number" ? version : -1;
  } catch {
    return -1;
  }
}

/** Writes the checkpoint of a state and points `_last_checkpoint` at it, unless there is one of a later version. */
export async function writeCheckpoint(
  engine: QueryEngine,
  storage: TableStorage,
  logFolder: string,
  state: DeltaState,
): Promise<void> {
  const { version } = state;
  const path = join(logFolder, `${String(version).padStart(20, "0")}.checkpoint.parquet`);
  const actions = state.actions();
  const isLate = async (): Promise<boolean> => (await lastCheckpoint(storage, logFolder)) > version;
  for (let attempt = 1; ; attempt++) {
    const outcome = await publishCheckpoint(engine, storage, { path, actions, isLate, isLast: attempt === ATTEMPTS });
    if (outcome === "late") return;
    if (outcome === "published") break;
  }
  if (!(await isLate()))
    await storage.replace(join(logFolder, POINTER), JSON.stringify({ version, size: actions.length }));
  // Another may have come in between.
  if (await goOnToNewest(engine, storage, logFolder, version)) await storage.remove(path);
}

/** Times in a row that another may clean up what is being written. */
const ATTEMPTS = 5;

interface NewCheckpoint {
  readonly path: string;
  readonly actions: readonly DeltaAction[];
  readonly isLate: () => Promise<boolean>;
  /** It is not tried again. */
  readonly isLast: boolean;
}

/** `cleaned`: another has cleaned up what is written first. */
async function publishCheckpoint(
  engine: QueryEngine,
  storage: TableStorage,
  { path, actions, isLate, isLast }: NewCheckpoint,
): Promise<"published" | "late" | "cleaned"> {
  const lines = join(dirname(path), `.${randomUUID()}.json`);
  const written = join(dirname(path), `.${randomUUID()}.parquet`);
  const columns = COLUMNS.map(([column, type]) => `${sqlText(column)}: ${sqlText(type)}`).join(", ");
  let isWritten = false;
  try {
    await storage.putIfAbsent(lines, formatActions(actions));
    await engine.run(`COPY (SELECT * FROM read_json(${fileSql(lines)}, hive_partitioning = false, format = 'newline_delimited', columns = {${columns}}))
      TO ${sqlText(written)} (FORMAT parquet)`);
    isWritten = true;
    if (await isLate()) return "late";
    await storage.publish(written, path);
    return "published";
  } catch (error) {
    const isThere = async (file: string): Promise<boolean> => (await storage.writtenMillis(file)) !== null;
    if (isLast || ((await isThere(lines)) && (!isWritten || (await isThere(written))))) throw error;
    return "cleaned";
  } finally {
    await storage.remove(lines);
    await storage.remove(written);
  }
}

/** Whether there is a checkpoint of a later version, which `_last_checkpoint` then names once more. */
async function goOnToNewest(
  engine: QueryEngine,
  storage: TableStorage,
  logFolder: string,
  version: number,
): Promise<boolean> {
  const newest = async (): Promise<Checkpoint | undefined> => checkpointsIn(await storage.list(logFolder))[0];
  for (let found = await newest(); found !== undefined && found.version > version;) {
    if ((await lastCheckpoint(storage, logFolder)) >= found.version) return true;
    try {
      await pointTo(engine, storage, logFolder, found);
      return true;
    } catch (error) {
      // One that is gone by now was so for a still later one.
      const again = await newest();
      if (again === undefined || again.version <= found.version) throw error;
      found = again;
    }
  }
  return false;
}

async function pointTo(
  engine: QueryEngine,
  storage: TableStorage,
  logFolder: string,
  { version, files }: Checkpoint,
): Promise<void> {
  const paths = files.map((name) => join(logFolder, name));
  const [counted] = await engine.rows(`SELECT count(*)::DOUBLE AS size FROM ${parquetSql(paths)}`);
  const pointer = { version, size: Number(counted?.["size"]), ...(files.length > 1 ? { parts: files.length } : {}) };
  await storage.replace(join(logFolder, POINTER), JSON.stringify(pointer));
}
