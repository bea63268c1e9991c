/**
 * Checkpoints: a table version's whole state as one Parquet file, so that opening a table does not read
 * every commit since its beginning.
 *
 * A checkpoint only repeats what commits say. One that cannot be read is passed over for an earlier one,
 * or for the commits themselves; one cut short while being written never got its name.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { formatActions, type DeltaAction } from "./delta-actions.ts";
import { sqlText, type QueryEngine } from "./engine.ts";
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

/** Versions that have a checkpoint, newest first, with the files of each (several for a multi-part one). */
export function checkpointsIn(names: readonly string[]): { readonly version: number; readonly files: string[] }[] {
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
  const paths = files.map((name) => sqlText(join(logFolder, name))).join(", ");
  try {
    const rows = await engine.rows(`SELECT to_json(t)::VARCHAR AS action FROM read_parquet([${paths}]) t`);
    return rows.map((row) => JSON.parse(row["action"] as string) as DeltaAction);
  } catch {
    return null;
  }
}

/** Writes the checkpoint of a state and points `_last_checkpoint` at it. */
export async function writeCheckpoint(
  engine: QueryEngine,
  storage: TableStorage,
  logFolder: string,
  state: DeltaState,
): Promise<void> {
  const actions = state.actions();
  const name = `${String(state.version).padStart(20, "0")}.checkpoint.parquet`;
  const lines = join(logFolder, `.${randomUUID()}.json`);
  const written = join(logFolder, `.${randomUUID()}.parquet`);
  const columns = COLUMNS.map(([column, type]) => `${sqlText(column)}: ${sqlText(type)}`).join(", ");
  try {
    await storage.putIfAbsent(lines, formatActions(actions));
    await engine.run(`COPY (SELECT * FROM read_json(${sqlText(lines)}, format = 'newline_delimited', columns = {${columns}}))
      TO ${sqlText(written)} (FORMAT parquet)`);
    await storage.publish(written, join(logFolder, name));
  } finally {
    await storage.remove(lines);
    await storage.remove(written);
  }
  const pointer = { version: state.version, size: actions.length };
  await storage.replace(join(logFolder, "_last_checkpoint"), JSON.stringify(pointer));
}
