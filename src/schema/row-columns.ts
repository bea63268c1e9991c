/**
 * Rows read from their bytes (`row-codec.ts`) into columns that are used again and again: what goes on to an engine needs no
 * object a row.
 *
 * Numbers, times and bools (as 0 and 1) lie in typed arrays, beside a byte a row that is 0 where there is none; texts, bytes,
 * lists and wide integers in arrays of values.
 */
import type { ByteReader } from "./byte-buffer.ts";
import { type CodecColumn, columnTargets, readNumber, readValue, refuseOtherVersion } from "./row-codec.ts";
import { fitsDouble, type Value, type ValueType, widened } from "./value.ts";

export interface RowColumns {
  /** Each with room for `capacity` rows. */
  readonly columns: (Float64Array | Value[])[];
  /** One byte a row, 0 where null; null for a column of values. */
  readonly validity: (Uint8Array | null)[];
}

export function createRowColumns(types: readonly ValueType[], capacity: number): RowColumns {
  const numbers = types.map(fitsDouble);
  return {
    columns: numbers.map((are) =>
      are ? new Float64Array(capacity) : Array.from<Value>({ length: capacity }).fill(null),
    ),
    validity: numbers.map((are) => (are ? new Uint8Array(capacity) : null)),
  };
}

/** Reads one row into place `at` of the first columns, which are the codec's. Throws as `RowCodec.decode`. */
export type ReadIntoColumns = (from: ByteReader, into: RowColumns, at: number) => void;

/** `columns` and `writtenColumns` as for `createRowCodec`, with its errors. */
export function createColumnReader(
  columns: readonly CodecColumn[],
  writtenColumns: readonly CodecColumn[],
): ReadIntoColumns {
  const targets = columnTargets(columns, writtenColumns);
  const written = writtenColumns.map(({ type }, i) => {
    const target = targets[i]!;
    const to = target < 0 ? null : columns[target]!.type;
    // A number that becomes a wide integer becomes a text.
    return { type, target, to, isNumber: to !== null && fitsDouble(type) && fitsDouble(to) };
  });
  const bitmapBytes = Math.ceil(written.length / 8);
  const bitmap = new Uint8Array(bitmapBytes);
  return (from, into, at) => {
    refuseOtherVersion(from.byte());
    for (let i = 0; i < bitmapBytes; i++) bitmap[i] = from.byte();
    for (let c = 0; c < columns.length; c++) setNull(into, c, at);
    for (let i = 0; i < written.length; i++) {
      if ((bitmap[i >> 3]! & (1 << (i & 7))) !== 0) continue;
      const { type, target, to, isNumber } = written[i]!;
      if (to === null) readValue(type, from);
      else if (isNumber) {
        (into.columns[target] as Float64Array)[at] = readNumber(type, from);
        into.validity[target]![at] = 1;
      } else (into.columns[target] as Value[])[at] = widened(readValue(type, from), type, to);
    }
  };
}

export function setNull({ columns, validity }: RowColumns, column: number, at: number): void {
  const present = validity[column]!;
  if (present === null) (columns[column] as Value[])[at] = null;
  else present[at] = 0;
}

export function setNumber({ columns, validity }: RowColumns, column: number, at: number, value: number): void {
  (columns[column] as Float64Array)[at] = value;
  validity[column]![at] = 1;
}
