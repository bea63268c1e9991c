/**
 * Vectors of the entities that a file names, row by row: what `POST /services/{name}/vectors` answers, for files of any
 * length. A thousand rows are asked for at a time; no more are in memory, but for what the engine gathers of a Parquet or
 * CSV file, which it spills.
 */
import { open, rename, rm } from "node:fs/promises";
import { throwIfCancelled } from "../base/cancelled.ts";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { readRowFile } from "../ingest/row-file.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import { checkValue } from "../schema/check-value.ts";
import { type Column, formatType, type Value, type ValueType } from "../schema/value.ts";
import { checkRowOutput, writeRows } from "../training/row-output.ts";
import { checkOutputPlace } from "../training/training-set-file.ts";

const ROWS_A_REQUEST = 1000;

export interface BatchVectorsRequest {
  readonly service: string;
  /** Parquet, CSV or NDJSON with the key columns of the service's entities, and its request data. */
  readonly entities: string;
  /** Ends in .parquet, .csv, .ndjson or .jsonl; or what takes lines of JSON, a part at a time. */
  readonly out: string | ((lines: string) => Promise<void>);
  readonly fit?: number;
  readonly onProgress?: (rowsDone: number) => void;
  readonly signal?: AbortSignal;
}

export interface BatchVectorsReport {
  readonly rowCount: number;
  /** In the file's order, behind the key columns. */
  readonly features: readonly string[];
}

/** What a service takes and gives, as its plan has it. */
export interface ServiceShape {
  readonly keys: readonly { readonly name: string; readonly type: ValueType }[];
  readonly request: readonly Column[];
  readonly outputs: readonly { readonly name: string; readonly type: ValueType }[];
}

/** `POST /services/{name}/vectors`. */
export type AskVectors = (body: object) => Promise<Readonly<Record<string, unknown>>>;

interface Ports {
  readonly shape: ServiceShape;
  readonly ask: AskVectors;
  readonly openEngine: () => Promise<QueryEngine>;
}

/** One row a row of the file, in its order, repeated ones too. Throws `FILE_UNREADABLE`, `KEY_MISSING` and what asking throws. */
export async function batchVectors(ports: Ports, request: BatchVectorsRequest): Promise<BatchVectorsReport> {
  const { shape, openEngine } = ports;
  const { out } = request;
  const columns = [...shape.keys, ...shape.outputs];
  const features = shape.outputs.map(({ name }) => name);
  if (typeof out === "function") return { rowCount: await handOnLines(ports, request, out), features };
  await checkOutputPlace(out, "the file");
  if (/\.(ndjson|jsonl)$/i.test(out)) return { rowCount: await writeLines(ports, request, out), features };
  await checkRowOutput(out, columns);
  const engine = await openEngine();
  try {
    const rowCount = await writeRows({
      engine,
      path: out,
      columns,
      rows: valueRows(ports, request),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    return { rowCount, features };
  } finally {
    await engine.close();
  }
}

async function handOnLines(
  ports: Ports,
  request: BatchVectorsRequest,
  write: (lines: string) => Promise<void>,
): Promise<number> {
  let count = 0;
  for await (const answers of askInParts(ports, request)) {
    count += answers.length;
    await write(answers.map(({ entities, features }) => `${JSON.stringify({ entities, features })}\n`).join(""));
  }
  return count;
}

async function writeLines(ports: Ports, request: BatchVectorsRequest, path: string): Promise<number> {
  const temporary = `${path}.${process.pid}.partial`;
  const file = await open(temporary, "w").catch((cause: unknown) => {
    throw new OnefoldError("REQUEST_INVALID", "the file cannot be written", { where: path, cause });
  });
  try {
    const count = await handOnLines(ports, request, (lines) => file.appendFile(lines));
    await file.close();
    await rename(temporary, path);
    return count;
  } finally {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
  }
}

async function* valueRows(ports: Ports, request: BatchVectorsRequest): AsyncIterableIterator<Value[][]> {
  const { keys, outputs } = ports.shape;
  const lenient = { allowNonFinite: true };
  for await (const answers of askInParts(ports, request)) {
    yield answers.map(({ entities, features }) => [
      ...keys.map(({ name, type }) => checkValue(entities[name], type, lenient)),
      ...outputs.map(({ name, type }) => checkValue(features[name], type, lenient)),
    ]);
  }
}

interface AnsweredRow {
  readonly entities: Readonly<Record<string, unknown>>;
  readonly features: Readonly<Record<string, unknown>>;
}

async function* askInParts(ports: Ports, request: BatchVectorsRequest): AsyncIterableIterator<readonly AnsweredRow[]> {
  const { shape, ask, openEngine } = ports;
  const { entities: path, fit, onProgress, signal } = request;
  const columns = [...shape.keys, ...shape.request].map(({ name, type }) => ({ name, type: formatType(type) }));
  let done = 0;
  for await (const rows of readRowFile({ path, columns, rowsPerBatch: ROWS_A_REQUEST, openEngine })) {
    throwIfCancelled(signal);
    const entities = rows.map((row) => picked(row, shape.keys));
    const answer = await ask({
      entities,
      ...(shape.request.length === 0 ? {} : { request: rows.map((row) => picked(row, shape.request)) }),
      ...(fit === undefined ? {} : { fit }),
    }).catch((error: unknown) => {
      throw atRow(error, path, done);
    });
    const results = answer["results"] as readonly { readonly features: Readonly<Record<string, unknown>> }[];
    yield results.map(({ features }, i) => ({ entities: entities[i]!, features }));
    done += rows.length;
    onProgress?.(done);
  }
}

/** What a row has of these columns; what it lacks the door finds missing. */
function picked(
  row: Readonly<Record<string, unknown>>,
  columns: readonly { readonly name: string }[],
): Record<string, unknown> {
  return Object.fromEntries(columns.filter(({ name }) => name in row).map(({ name }) => [name, row[name]]));
}

/** Names the row of the file instead of the element of the request. */
function atRow(error: unknown, path: string, rowsBefore: number): unknown {
  if (!isOnefoldError(error)) return error;
  const place = /^(?:entities|request)\[(\d+)\] ?(.*)$/.exec(error.where ?? "");
  if (place === null) return error;
  const row = rowsBefore + Number(place[1]) + 1;
  return new OnefoldError(error.code, error.message, {
    where: `${path}: row ${row}${place[2] === "" ? "" : `, ${place[2]}`}`,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.candidates === undefined ? {} : { candidates: error.candidates }),
    cause: error,
  });
}
