/**
 * A column out of the raw memory of an engine's vector, or into it: typed arrays where the bytes will do, and values of
 * each row only where they will not.
 *
 * DuckDB's `vector_get_data` hands out a copy that nobody else holds, so a batch's arrays need no further copying.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatType, type Value, type ValueType } from "../schema/value.ts";
import { bitmapOfBytes, bytesOfBitmap, doublesOfInt64, writeInt64OfDoubles } from "./column-bytes.ts";
import type { EngineColumn, EngineVector } from "./engine.ts";

/** Of the driver's vectors what carries the column's raw memory. */
export interface RawVector {
  readonly items: Float64Array | Int32Array | BigInt64Array;
  readonly dataView: DataView;
  readonly validity: { data: BigUint64Array | null };
  /** What a row holds, as the driver has it. */
  getItem(row: number): unknown;
}

/** What the driver knows of a column. */
export interface DriverColumn {
  readonly type: { toString(): string };
  /** Of what `getItem` gives. */
  valueOf(item: unknown, type: ValueType): Value;
}

/** One byte a row, 0 where null; null where no row is. */
export function presentRows(vector: RawVector, rowCount: number): Uint8Array | null {
  return bytesOfBitmap(vector.validity.data, rowCount);
}

export function readVector(
  vector: RawVector,
  column: EngineColumn,
  rowCount: number,
  present: Uint8Array | null,
  { type, valueOf }: DriverColumn,
): EngineVector {
  const { items } = vector;
  switch (column.as) {
    case "number":
      if (items instanceof Float64Array) return items.subarray(0, rowCount);
      throw new OnefoldError("INTERNAL", `a column wanted as numbers is ${type.toString()}, not DOUBLE`);
    case "int32":
      if (items instanceof Int32Array) return items.subarray(0, rowCount);
      throw new OnefoldError("INTERNAL", `a column wanted as int32 is ${type.toString()}, not INTEGER`);
    case "int64":
      if (items instanceof BigInt64Array) return new Int32Array(items.buffer, items.byteOffset, 2 * rowCount);
      throw new OnefoldError("INTERNAL", `a column wanted as int64 is ${type.toString()}, not BIGINT`);
    case "text":
      return readTexts(vector, rowCount, present);
    case "value":
      return readValues(vector, column.type, rowCount, present, valueOf);
  }
}

/** Texts of at most 12 bytes lie inside the vector's own 16-byte cells and need no further call. */
function readTexts(vector: RawVector, rowCount: number, present: Uint8Array | null): (string | null)[] {
  const cells = vector.dataView;
  const bytes = Buffer.from(cells.buffer, cells.byteOffset, cells.byteLength);
  const texts: (string | null)[] = [];
  for (let i = 0; i < rowCount; i++) {
    if (present !== null && present[i] === 0) texts.push(null);
    else {
      const length = cells.getUint32(i * 16, true);
      const start = i * 16 + 4;
      texts.push(length <= 12 ? bytes.toString("utf8", start, start + length) : (vector.getItem(i) as string));
    }
  }
  return texts;
}

function readValues(
  vector: RawVector,
  type: ValueType,
  rowCount: number,
  present: Uint8Array | null,
  valueOf: DriverColumn["valueOf"],
): Value[] {
  if (type.name === "string") return readTexts(vector, rowCount, present);
  const { items } = vector;
  if (items instanceof BigInt64Array && !(type.name === "int64" && type.wide === true)) {
    return valuesOfDoubles(doublesOfInt64(items, rowCount), present);
  }
  if (items instanceof Float64Array) return valuesOfDoubles(items, present);
  const values: Value[] = [];
  for (let i = 0; i < rowCount; i++) {
    values.push(present !== null && present[i] === 0 ? null : valueOf(vector.getItem(i), type));
  }
  return values;
}

function valuesOfDoubles(doubles: Float64Array, present: Uint8Array | null): Value[] {
  const values: Value[] = Array.from(doubles);
  if (present !== null) for (let i = 0; i < values.length; i++) if (present[i] === 0) values[i] = null;
  return values;
}

/** Writes `cells[from, from + count)`, and which of them are null. */
export function writeNumbers(
  vector: RawVector,
  type: ValueType,
  { cells, present }: { readonly cells: Float64Array; readonly present: Uint8Array | null },
  from: number,
  count: number,
): void {
  const { items, dataView, validity } = vector;
  if (type.name === "bool") {
    for (let i = 0; i < count; i++) dataView.setUint8(i, cells[from + i] === 0 ? 0 : 1);
  } else if (items instanceof BigInt64Array) {
    writeInt64OfDoubles(cells, from, count, items);
  } else if (items instanceof Float64Array) {
    items.set(cells.subarray(from, from + count));
  } else {
    throw new OnefoldError("INTERNAL", `a column of ${formatType(type)} cannot be filled from numbers`);
  }
  validity.data = bitmapOfBytes(present, from, count);
}
