/**
 * Rows turned into the columns that an engine's `fill` takes.
 */
import { fitsDouble, type Value, type ValueType } from "../schema/value.ts";
import type { FillBatch } from "./engine.ts";

/** Columns of the given types from rows that hold at least as many values; missing ones are null. */
export function batchOfRows(types: readonly ValueType[], rows: readonly (readonly Value[])[]): FillBatch {
  const columns: (Float64Array | Value[])[] = [];
  const validity: (Uint8Array | null)[] = [];
  for (let c = 0; c < types.length; c++) {
    if (!fitsDouble(types[c]!)) {
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
