/**
 * The training set as a file: the spine's columns first, then the features in the vector's order.
 *
 * Everything is written under a temporary name in the same folder and renamed, data before manifest, so
 * that neither a reader nor a crash ever meets half a file or a manifest of other data.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { syncPath } from "../base/sync-path.ts";
import { STATUS_NAMES } from "../fold/view-fold.ts";
import { sqlName, sqlText, type FillBatch, type QueryEngine, type TableColumn } from "../offline-store/engine.ts";
import type { Value, ValueType } from "../schema/value.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import { csvText, isCsvText, isListType, listTextSql } from "./list-text.ts";
import type { TrainingManifest } from "./manifest.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import type { SetChunk } from "./set-chunks.ts";
import type { Spine } from "./spine.ts";
import { jsonTextSql } from "./spine-sql.ts";

export type TrainingFormat = "parquet" | "csv";

/** Added behind the features on request. */
export const STATUS_SUFFIX = "__status";
export const AFTER_LOG_COLUMN = "after_log_end";

export interface TrainingFile {
  readonly engine: QueryEngine;
  readonly path: string;
  readonly format: TrainingFormat;
  /** The features, in the order of the vector. */
  readonly outputs: readonly TableColumn[];
  /** Their columns, in the spine's order, without a gap. */
  readonly chunks: Iterable<SetChunk> | AsyncIterable<SetChunk>;
  readonly spine: Spine;
  /** Request data as it was read. */
  readonly request: readonly FeatureColumn[];
  readonly withStatuses: boolean;
  /** One byte a row, 1 for a label after the end of the log; null for no such column. */
  readonly afterLog: Uint8Array | null;
  readonly onProgress?: (rows: number) => void;
  readonly signal?: AbortSignal;
}

const ROWS_A_BATCH = 65_536;

/** Of `what`, by the file's ending. Throws `REQUEST_INVALID`. */
export function trainingFormatOf(path: string, what = "the training set"): TrainingFormat {
  if (/\.(parquet|pq)$/i.test(path)) return "parquet";
  if (/\.csv$/i.test(path)) return "csv";
  throw new OnefoldError("REQUEST_INVALID", `the format of ${what} cannot be told from its ending`, {
    where: path,
    hint: "name it .parquet or .csv",
  });
}

export function manifestPathOf(path: string): string {
  return `${path}.manifest.json`;
}

/** Refuses, before any work, an output that could not be written. Throws `REQUEST_INVALID`, `SPINE_INVALID`. */
export async function checkOutput(path: string, spine: Spine, added: readonly string[]): Promise<void> {
  if (resolve(path) === resolve(spine.path)) {
    throw new OnefoldError("REQUEST_INVALID", "the training set would overwrite its label rows", { where: path });
  }
  await checkOutputPlace(path, "the training set");
  const twice = added.find((name, i) => added.findIndex((one) => one.toLowerCase() === name.toLowerCase()) < i);
  if (twice !== undefined) {
    throw new OnefoldError("REQUEST_INVALID", `two columns of the training set would be named ${twice}`, {
      hint: "give the feature another name in its service",
    });
  }
  const taken = new Set(spine.columns.map((column) => column.name.toLowerCase()));
  const clashing = added.filter((name) => taken.has(name.toLowerCase()));
  if (clashing.length > 0) {
    throw new OnefoldError("SPINE_INVALID", `the label rows already have a column named ${clashing.join(", ")}`, {
      where: spine.path,
      hint: "rename it in the label rows, or give the feature another name in the service",
    });
  }
}

/** Refuses a path at which no file can come to be. Throws `REQUEST_INVALID`. */
export async function checkOutputPlace(path: string, what: string): Promise<void> {
  const folder = dirname(resolve(path));
  if (!(await isFolder(folder)))
    throw new OnefoldError("REQUEST_INVALID", `the folder for ${what} does not exist`, { where: folder });
  if (await isFolder(path)) throw new OnefoldError("REQUEST_INVALID", `${what} is a folder`, { where: path });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Names of the columns behind the spine's. */
export function addedColumns(features: readonly string[], withStatuses: boolean, withAfterLog: boolean): string[] {
  const statuses = withStatuses ? features.map((name) => name + STATUS_SUFFIX) : [];
  return [...features, ...statuses, ...(withAfterLog ? [AFTER_LOG_COLUMN] : [])];
}

/**
 * Writes the file beside its final name and puts it and its manifest there; both are on disk once it resolves. The engine holds the spine.
 * `manifestFor` is given the data's SHA-256. Throws `CANCELLED`.
 */
export async function writeTrainingFile(
  file: TrainingFile,
  manifestFor: (sha256: string) => TrainingManifest,
): Promise<TrainingManifest> {
  const { engine, path, signal } = file;
  const temporary = `${path}.${process.pid}.partial`;
  const manifestPath = manifestPathOf(path);
  const temporaryManifest = `${manifestPath}.${process.pid}.partial`;
  try {
    await engine.fill("training_features", tableColumns(file), batches(file));
    // An engine between two statements has nothing to interrupt.
    throwIfCancelled(signal);
    const options = file.format === "parquet" ? "FORMAT parquet, COMPRESSION zstd" : "FORMAT csv, HEADER true";
    const names = addedBy(file).map(({ name }) => `f.${sqlName(name)}`);
    await engine.run(
      `COPY (SELECT ${[...spineCells(file), ...names].join(", ")} FROM spine s POSITIONAL JOIN training_features f)
       TO ${sqlText(temporary)} (${options})`,
    );
    const manifest = manifestFor(await sha256OfFile(temporary));
    await writeFile(temporaryManifest, `${JSON.stringify(manifest, null, 2)}\n`);
    for (const written of [temporary, temporaryManifest]) await syncPath(written);
    throwIfCancelled(signal);
    await rm(manifestPath, { force: true });
    await rename(temporary, path);
    await rename(temporaryManifest, manifestPath);
    await syncPath(dirname(resolve(path)));
    return manifest;
  } finally {
    await rm(temporary, { force: true });
    await rm(temporaryManifest, { force: true });
  }
}

/** A colon stands in no name of a feature. */
const REQUEST_PREFIX = "request:";

/** The spine's columns: as they are, but request data that was read from JSON text as what was read, and lists and bytes as a CSV file can hold them. */
function spineCells({ spine, request, format }: TrainingFile): string[] {
  const read = new Set(readFromText(spine, request).map(({ name }) => name));
  return spine.columns.map(({ name, type }) => {
    if (read.has(name)) return `f.${sqlName(REQUEST_PREFIX + name)} AS ${sqlName(name)}`;
    const cell = `s.${sqlName(name)}`;
    if (format !== "csv") return cell;
    if (type === "BLOB") return `base64(${cell}) AS ${sqlName(name)}`;
    return isListType(type) ? `${listTextSql(cell, type)} AS ${sqlName(name)}` : cell;
  });
}

function readFromText(spine: Spine, request: readonly FeatureColumn[]): FeatureColumn[] {
  const typeOf = new Map(spine.columns.map(({ name, type }) => [name, type]));
  return request.filter(({ name, type }) => jsonTextSql(name, typeOf.get(name)!, type) !== null);
}

/** Behind the spine's. */
function addedBy({ outputs, withStatuses, afterLog }: TrainingFile): TableColumn[] {
  const statuses = withStatuses ? outputs : [];
  return [
    ...outputs.map(({ name, type }) => ({ name, type })),
    ...statuses.map(({ name }) => ({ name: name + STATUS_SUFFIX, type: STRING })),
    ...(afterLog === null ? [] : [{ name: AFTER_LOG_COLUMN, type: { name: "bool" } as const }]),
  ];
}

const STRING: ValueType = { name: "string" };

function tableColumns(file: TrainingFile): TableColumn[] {
  const request = readFromText(file.spine, file.request);
  const all = [...request.map(({ name, type }) => ({ name: REQUEST_PREFIX + name, type })), ...addedBy(file)];
  return all.map(({ name, type }) => ({ name, type: isText(type, file.format) ? STRING : type }));
}

function isText(type: ValueType, format: TrainingFormat): boolean {
  return format === "csv" && isCsvText(type);
}

async function* batches(file: TrainingFile): AsyncIterableIterator<FillBatch> {
  const request = readFromText(file.spine, file.request);
  const { withStatuses, afterLog, format, onProgress, signal } = file;
  const cellsOf = (column: FeatureColumn, from: number, to: number): FillBatch["columns"][number] => {
    const held = column.numbers?.subarray(from, to) ?? column.objects!.slice(from, to);
    return isText(column.type, format) ? (held as Value[]).map((value) => csvText(value, column.type)) : held;
  };
  for await (const { from: first, rowCount, columns } of file.chunks) {
    for (let from = 0; from < rowCount; from += ROWS_A_BATCH) {
      const to = Math.min(rowCount, from + ROWS_A_BATCH);
      const cells: FillBatch["columns"][number][] = [];
      const validity: (Uint8Array | null)[] = [];
      for (const column of request) {
        cells.push(cellsOf(column, first + from, first + to));
        validity.push(column.validity.subarray(first + from, first + to));
      }
      for (const column of columns) {
        cells.push(cellsOf(column, from, to));
        validity.push(column.validity.subarray(from, to));
      }
      if (withStatuses) {
        for (const column of columns) {
          cells.push(Array.from(column.statuses.subarray(from, to), (status) => STATUS_NAMES[status]!));
          validity.push(null);
        }
      }
      if (afterLog !== null) {
        cells.push(Float64Array.from(afterLog.subarray(first + from, first + to)));
        validity.push(null);
      }
      throwIfCancelled(signal);
      yield { rowCount: to - from, columns: cells, validity };
      onProgress?.(first + to);
    }
  }
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
