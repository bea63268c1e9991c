/**
 * Rows as compact bytes: a null bitmap, then each value that is there, by its column's type.
 *
 *     version (1 byte) | null bitmap, 1 bit a column | values
 *
 * The bytes hold no names: whoever stores them stores the columns beside them (`writtenColumns`), so that
 * rows written before a nullable column was added still decode, with null in its place, and those written before a type
 * was widened. Stored columns only; derived ones are recomputed.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ByteReader, ByteWriter } from "./byte-buffer.ts";
import { type Row, sameType, type Value, type ValueType, widened, widens } from "./value.ts";

const CODEC_VERSION = 1;

/** All the codec needs of a column. */
export interface CodecColumn {
  readonly name: string;
  readonly type: ValueType;
}

export interface RowCodec {
  readonly columns: readonly CodecColumn[];
  /** Appends one row; values past the codec's columns (derived ones) are left out. */
  encode(row: Row, into: ByteWriter): void;
  /** One value a column, in the codec's order. Throws `STATE_CODEC` for another version, `RangeError` past the end. */
  decode(from: ByteReader): Value[];
}

/**
 * `writtenColumns` are those the bytes were written with (default: `columns`); they are matched by name.
 * Throws `STATE_CODEC` when a column of the same name has a type that this one's does not widen.
 */
export function createRowCodec(
  columns: readonly CodecColumn[],
  writtenColumns: readonly CodecColumn[] = columns,
): RowCodec {
  const written = writtenColumns.map((column) => column.type);
  const bitmapBytes = Math.ceil(columns.length / 8);
  const writtenBitmapBytes = Math.ceil(written.length / 8);
  const types = columns.map((column) => column.type);
  const targets = columnTargets(columns, writtenColumns);
  /** The columns whose values are read as another type. */
  const widenings = writtenColumns.flatMap(({ type }, i) => {
    const to = targets[i]! < 0 ? type : types[targets[i]!]!;
    return sameType(type, to) ? [] : [{ index: targets[i]!, from: type, to }];
  });
  const bitmap = new Uint8Array(writtenBitmapBytes);
  const blank = columns.map((): Value => null);

  return {
    columns,
    encode(row: Row, into: ByteWriter): void {
      into.byte(CODEC_VERSION);
      const bitmapAt = into.skip(bitmapBytes);
      for (let i = 0; i < bitmapBytes; i++) into.zeroAt(bitmapAt + i);
      for (let i = 0; i < types.length; i++) {
        const value = row[i];
        if (value === null || value === undefined) into.orByteAt(bitmapAt + (i >> 3), 1 << (i & 7));
        else writeValue(value, types[i]!, into);
      }
    },
    decode(from: ByteReader): Value[] {
      refuseOtherVersion(from.byte());
      for (let i = 0; i < writtenBitmapBytes; i++) bitmap[i] = from.byte();
      const row = blank.slice();
      for (let i = 0; i < written.length; i++) {
        if ((bitmap[i >> 3]! & (1 << (i & 7))) !== 0) continue;
        const value = readValue(written[i]!, from);
        const target = targets[i]!;
        if (target >= 0) row[target] = value;
      }
      for (const { index, from: type, to } of widenings) row[index] = widened(row[index]!, type, to);
      return row;
    },
  };
}

/** For each written column its place among `columns`, -1 where it is not there. Throws as `createRowCodec`. */
export function columnTargets(columns: readonly CodecColumn[], writtenColumns: readonly CodecColumn[]): number[] {
  return writtenColumns.map((column) => {
    const index = columns.findIndex((candidate) => candidate.name === column.name);
    if (index >= 0 && !widens(column.type, columns[index]!.type)) {
      throw new OnefoldError("STATE_CODEC", `column ${column.name} was stored with another type`);
    }
    return index;
  });
}

export function refuseOtherVersion(version: number): void {
  if (version === CODEC_VERSION) return;
  throw new OnefoldError("STATE_CODEC", `rows of codec version ${version} cannot be read`);
}

function writeValue(value: NonNullable<Value>, type: ValueType, into: ByteWriter): void {
  switch (type.name) {
    case "int64":
      if (type.wide === true) into.text(value as string);
      else into.signedVarint(value as number);
      return;
    case "float64":
    case "timestamp":
      into.float64(value as number);
      return;
    case "string":
      into.text(value as string);
      return;
    case "bytes":
      into.bytes(value as Uint8Array);
      return;
    case "bool":
      into.byte(value === true ? 1 : 0);
      return;
    case "array": {
      const elements = value as readonly Value[];
      into.varint(elements.length);
      for (const element of elements) {
        into.byte(element === null ? 0 : 1);
        if (element !== null) writeValue(element, type.element, into);
      }
    }
  }
}

/** Of a type that `fitsDouble`; a bool as 0 or 1. */
export function readNumber(type: ValueType, from: ByteReader): number {
  switch (type.name) {
    case "int64":
      return from.signedVarint();
    case "bool":
      return from.byte() === 1 ? 1 : 0;
    default:
      return from.float64();
  }
}

export function readValue(type: ValueType, from: ByteReader): Value {
  switch (type.name) {
    case "int64":
      return type.wide === true ? from.text() : from.signedVarint();
    case "float64":
    case "timestamp":
      return from.float64();
    case "string":
      return from.text();
    case "bytes":
      return from.bytes();
    case "bool":
      return from.byte() === 1;
    case "array": {
      const count = from.varint();
      const elements: Value[] = [];
      for (let i = 0; i < count; i++) elements.push(from.byte() === 0 ? null : readValue(type.element, from));
      return elements;
    }
  }
}
