/**
 * Rows written to one Parquet or CSV file as they come, in their order: there whole, or not at all.
 *
 * They gather in a table of the engine, which spills what does not fit into its memory.
 */
import { randomUUID } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { OnefoldError } from "../base/errors.ts";
import { type FillBatch, type QueryEngine, sqlName, sqlText, type TableColumn } from "../offline-store/engine.ts";
import { batchOfRows } from "../offline-store/row-batch.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { csvText, isCsvText } from "./list-text.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { checkOutputPlace, trainingFormatOf } from "./training-set-file.ts";

export interface RowOutput {
  readonly engine: QueryEngine;
  /** Ends in .parquet or .csv. */
  readonly path: string;
  readonly columns: readonly TableColumn[];
  readonly rows: AsyncIterable<readonly (readonly Value[])[]>;
  readonly signal?: AbortSignal;
}

const STRING: ValueType = { name: "string" };

/** Refuses, before any work, a file that could not be written. Throws `REQUEST_INVALID`. */
export async function checkRowOutput(path: string, columns: readonly TableColumn[]): Promise<void> {
  trainingFormatOf(path, "the file");
  await checkOutputPlace(path, "the file");
  const names = columns.map(({ name }) => name.toLowerCase());
  const twice = columns.find((_, i) => names.indexOf(names[i]!) !== i);
  if (twice !== undefined) {
    throw new OnefoldError("REQUEST_INVALID", `two columns of the file would be named ${twice.name}`, { where: path });
  }
}

/** Returns how many rows were written. Throws `CANCELLED`, and what the rows and the engine throw. */
export async function writeRows(output: RowOutput): Promise<number> {
  const { engine, path, signal } = output;
  const format = trainingFormatOf(path);
  const temporary = `${path}.${process.pid}.partial`;
  const gathered = `rows_${randomUUID()}`;
  const isText = output.columns.map(({ type }) => format === "csv" && isCsvText(type));
  const columns = output.columns.map(({ name, type }, i) => ({ name, type: isText[i]! ? STRING : type }));
  const types = columns.map(({ type }) => type);
  let count = 0;
  async function* batches(): AsyncIterableIterator<FillBatch> {
    for await (const rows of output.rows) {
      throwIfCancelled(signal);
      count += rows.length;
      const cells = isText.includes(true)
        ? rows.map((row) => row.map((value, i) => (isText[i]! ? csvText(value, output.columns[i]!.type) : value)))
        : rows;
      yield batchOfRows(types, cells);
    }
  }
  try {
    await engine.fill(gathered, columns, batches());
    throwIfCancelled(signal);
    const options = format === "parquet" ? "FORMAT parquet, COMPRESSION zstd" : "FORMAT csv, HEADER true";
    await engine.run(`COPY (SELECT * FROM ${sqlName(gathered)}) TO ${sqlText(temporary)} (${options})`);
    throwIfCancelled(signal);
    await rename(temporary, path);
    return count;
  } finally {
    await rm(temporary, { force: true });
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(gathered)}`).catch(() => {});
  }
}
