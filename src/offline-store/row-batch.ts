/**
 * Rows turned into the columns that an engine's `fill` takes.
 */
import { setImmediate } from "node:timers/promises";
import type { Value, ValueType } from "../schema/value.ts";
import type { FillBatch } from "./engine.ts";

/** Turned into columns and handed to the engine in one go: a few milliseconds' work. */
const ROWS_PER_TURN = 2000;

/** `batchOfRows` of some rows at a time, so that other work gets its turns in between. */
export async function* batchesInTurns<R>(
  types: readonly ValueType[],
  rows: readonly R[],
  valuesOf: (row: R) => readonly Value[],
): AsyncIterableIterator<FillBatch> {
  for (let from = 0; from < rows.length; from += ROWS_PER_TURN) {
    if (from > 0) await setImmediate();
    yield batchOfRows(types, rows.slice(from, from + ROWS_PER_TURN).map(valuesOf));
  }
}

/** Columns of the given types from rows that hold at least as many values; missing ones are null. */
export function batchOfRows(types: readonly ValueType[], rows: readonly (readonly Value[])[]): FillBatch {
  const columns: (Float64Array | Value[])[] = [];
  const validity: (Uint8Array | null)[] = [];
  for (let c = 0; c < types.length; c++) {
    const type = types[c]!;
    const isNumberLike =
      type.name === "float64" ||
      type.name === "timestamp" ||
      type.name === "bool" ||
      (type.name === "int64" && type.wide !== true);
    if (!isNumberLike) {
      columns.push(rows.map((row) => row[c] ?? null));
      validity.push(null);
      continue;
    }
    const numbers = new Float64Array(rows.length);
    let present: Uint8Array | null = null;
    for (let i = 0; i < rows.length; i++) {
      const value = rows[i]![c] ?? null;
      if (value === null) {
        present ??= new Uint8Array(rows.length).fill(1);
        present[i] = 0;
      } else numbers[i] = Number(value);
    }
    columns.push(numbers);
    validity.push(present);
  }
  return { rowCount: rows.length, columns, validity };
}
