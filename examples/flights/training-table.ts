/** Reads a training set that the platform wrote, as any training script would: Parquet in, columns out. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { Table } from "./model.ts";

export interface LabelledTable extends Table {
  readonly flights: readonly string[];
  /** 1 where the flight was more than 15 minutes late. */
  readonly labels: Float64Array;
}

export interface TrainingTable {
  readonly rows: number;
  /** Before the cut: what the model learns from. */
  readonly past: LabelledTable;
  /** The replayed days. */
  readonly heldOut: LabelledTable;
}

export async function readTrainingTable(path: string, featureNames: readonly string[]): Promise<TrainingTable> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const read = async (heldOut: boolean): Promise<LabelledTable> => {
    const features = featureNames.map((name) => `"${name}"::DOUBLE`).join(", ");
    const result = await connection.runAndReadAll(
      `SELECT flight, arrived_late::DOUBLE, ${features}
       FROM read_parquet('${path.replaceAll("'", "''")}') WHERE held_out = ${heldOut}`,
    );
    const [flights, labels, ...columns] = result.getColumnsJS() as [string[], number[], ...(number | null)[][]];
    return {
      rows: flights.length,
      flights,
      labels: Float64Array.from(labels),
      columns: columns.map((column) => Float64Array.from(column, (value) => value ?? Number.NaN)),
    };
  };
  try {
    const [past, heldOut] = [await read(false), await read(true)];
    return { rows: past.rows + heldOut.rows, past, heldOut };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
