/**
 * A Parquet file as an Arrow IPC stream, type by type: the only file that knows Arrow's library.
 *
 * The engine hands over some thousand rows at a time, which become a record batch and are written before the next are
 * read, so that memory is bounded whatever the file holds. https://arrow.apache.org/docs/format/Columnar.html
 */
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as arrow from "apache-arrow";
import { OnefoldError } from "../base/errors.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { bitmapOfBytes } from "./column-bytes.ts";
import { type EngineBatch, type EngineColumn, type EngineVector, type QueryEngine, sqlName } from "./engine.ts";
import { parquetSql } from "./file-sql.ts";

/** How a column of one of the engine's types is read, and what it is in Arrow. */
interface ArrowColumn {
  readonly sql: string;
  readonly wanted: EngineColumn;
  readonly type: arrow.DataType;
}

/**
 * Writes `out`; resolves to the number of rows. Throws `FILE_UNREADABLE`, and `TYPE_MISMATCH` for a column of a type that
 * is not written: decimals, times of day, intervals, structures, maps.
 */
export async function writeArrowStream(engine: QueryEngine, parquet: string, out: string): Promise<number> {
  const from = parquetSql(parquet);
  const described = await engine.rows(`DESCRIBE SELECT * FROM ${from}`);
  const names = described.map((row) => String(row["column_name"]));
  const columns = described.map((row, i) => columnOf(names[i]!, String(row["column_type"])));
  const schema = new arrow.Schema(columns.map(({ type }, i) => new arrow.Field(names[i]!, type, true)));
  const sql = `SELECT ${columns.map((column) => column.sql).join(", ")} FROM ${from}`;
  const wanted = columns.map((column) => column.wanted);
  let rows = 0;
  const batches = async function* (): AsyncGenerator<arrow.RecordBatch> {
    for await (const batch of engine.stream(sql, wanted)) {
      rows += batch.rowCount;
      yield recordBatch(schema, columns, batch);
    }
    // Without any batch the library would not even tell the schema.
    if (rows === 0) yield recordBatch(schema, columns, { rowCount: 0, columns: columns.map(() => []), validity: [] });
  };
  await pipeline(
    Readable.from(batches(), { highWaterMark: 2 }),
    arrow.RecordBatchStreamWriter.throughNode(),
    createWriteStream(out),
  );
  return rows;
}

function recordBatch(
  schema: arrow.Schema,
  columns: readonly ArrowColumn[],
  { rowCount: length, columns: vectors, validity }: EngineBatch,
): arrow.RecordBatch {
  const children = columns.map(({ type }, i) => arrowData(type, vectors[i]!, length, validity[i] ?? null));
  const type = new arrow.Struct(schema.fields);
  return new arrow.RecordBatch(schema, arrow.makeData({ type, length, nullCount: 0, children }));
}

/** Throws `TYPE_MISMATCH`. */
function columnOf(column: string, sqlType: string): ArrowColumn {
  const name = sqlName(column);
  if (sqlType.endsWith("[]")) {
    const { type, value, cast } = elementOf(column, sqlType);
    return { sql: cast === null ? name : `${name}::${cast}`, wanted: { as: "value", type: value }, type };
  }
  const scalar = SCALARS[sqlType];
  if (scalar === undefined) throw unwritten(column, sqlType);
  return { sql: scalar.sql(name), wanted: scalar.wanted, type: scalar.type };
}

interface Scalar {
  readonly sql: (name: string) => string;
  readonly wanted: EngineColumn;
  readonly type: arrow.DataType;
  /** The same as an element of a list: the platform's type that its values are read as, and what to cast them to first. */
  readonly element: { readonly value: ValueType; readonly cast: string | null };
}

const WIDE: ValueType = { name: "int64", wide: true };
const WHOLE: ValueType = { name: "int64" };
const asIs = (name: string): string => name;

function int32(type: arrow.DataType): Scalar {
  return {
    sql: (name) => `${name}::INTEGER`,
    wanted: { as: "int32" },
    type,
    element: { value: WHOLE, cast: "BIGINT" },
  };
}

function values(name: "bool" | "string" | "bytes", type: arrow.DataType): Scalar {
  return {
    sql: asIs,
    wanted: name === "string" ? { as: "text" } : { as: "value", type: { name } },
    type,
    element: { value: { name }, cast: null },
  };
}

/** Whole microseconds, as 64 bits. */
function time(type: arrow.DataType): Scalar {
  return {
    sql: (name) => `epoch_us(${name})`,
    wanted: { as: "int64" },
    type,
    element: { value: { name: "timestamp" }, cast: null },
  };
}

const UTC_TIME = time(new arrow.TimestampMicrosecond("UTC"));
/** Without a zone. */
const LOCAL_TIME = time(new arrow.TimestampMicrosecond());

const SCALARS: Readonly<Record<string, Scalar>> = {
  TINYINT: int32(new arrow.Int8()),
  SMALLINT: int32(new arrow.Int16()),
  INTEGER: int32(new arrow.Int32()),
  UTINYINT: int32(new arrow.Uint8()),
  USMALLINT: int32(new arrow.Uint16()),
  UINTEGER: {
    sql: (name) => `${name}::DOUBLE`,
    wanted: { as: "number" },
    type: new arrow.Uint32(),
    element: { value: WHOLE, cast: "BIGINT" },
  },
  BIGINT: { sql: asIs, wanted: { as: "int64" }, type: new arrow.Int64(), element: { value: WIDE, cast: null } },
  UBIGINT: {
    sql: (name) => `${name}::VARCHAR`,
    wanted: { as: "text" },
    type: new arrow.Uint64(),
    element: { value: { name: "string" }, cast: "VARCHAR" },
  },
  FLOAT: {
    sql: (name) => `${name}::DOUBLE`,
    wanted: { as: "number" },
    type: new arrow.Float32(),
    element: { value: { name: "float64" }, cast: "DOUBLE" },
  },
  DOUBLE: {
    sql: asIs,
    wanted: { as: "number" },
    type: new arrow.Float64(),
    element: { value: { name: "float64" }, cast: null },
  },
  BOOLEAN: values("bool", new arrow.Bool()),
  VARCHAR: values("string", new arrow.Utf8()),
  BLOB: values("bytes", new arrow.Binary()),
  DATE: {
    sql: (name) => `(${name} - DATE '1970-01-01')::INTEGER`,
    wanted: { as: "int32" },
    type: new arrow.DateDay(),
    element: { value: WHOLE, cast: null },
  },
  "TIMESTAMP WITH TIME ZONE": UTC_TIME,
  TIMESTAMP: LOCAL_TIME,
  TIMESTAMP_S: LOCAL_TIME,
  TIMESTAMP_MS: LOCAL_TIME,
  TIMESTAMP_NS: {
    sql: (name) => `epoch_ns(${name})`,
    wanted: { as: "int64" },
    type: new arrow.TimestampNanosecond(),
    element: { value: { name: "timestamp" }, cast: null },
  },
};

/** Of lists these are not written: their elements would have to be read with more than the platform's types. */
const NOT_IN_LISTS: ReadonlySet<string> = new Set(["DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"]);

function elementOf(
  column: string,
  sqlType: string,
): { readonly type: arrow.DataType; readonly value: ValueType; readonly cast: string | null } {
  if (sqlType.endsWith("[]")) {
    const { type, value, cast } = elementOf(column, sqlType.slice(0, -2));
    return {
      type: new arrow.List(new arrow.Field("element", type, true)),
      value: { name: "array", element: value },
      cast: cast === null ? null : `${cast}[]`,
    };
  }
  const scalar = SCALARS[sqlType];
  if (scalar === undefined || NOT_IN_LISTS.has(sqlType)) throw unwritten(column, sqlType);
  return { type: scalar.type, ...scalar.element };
}

function unwritten(column: string, sqlType: string): OnefoldError {
  return new OnefoldError("TYPE_MISMATCH", `column ${column} is ${sqlType}, which is not written to an Arrow stream`, {
    where: column,
    hint: "take the file as Parquet, or leave the column out of the label rows",
  });
}

/** A column, or the elements of all its lists one after the other. */
function arrowData(type: arrow.DataType, cells: EngineVector, length: number, validity: Uint8Array | null): arrow.Data {
  const bitmap = bitmapOfBytes(validity, 0, length);
  const nulls = {
    nullCount: bitmap === null ? 0 : countNulls(validity!, length),
    ...(bitmap === null ? {} : { nullBitmap: new Uint8Array(bitmap.buffer) }),
  };
  const isPresent = (i: number): boolean => validity === null || validity[i] !== 0;
  if (arrow.DataType.isList(type)) {
    const lists = cells as readonly (readonly Value[] | null)[];
    const valueOffsets = new Int32Array(length + 1);
    const elements: Value[] = [];
    for (let i = 0; i < length; i++) {
      if (isPresent(i)) for (const element of lists[i]!) elements.push(element);
      valueOffsets[i + 1] = elements.length;
    }
    const { type: elementType } = type.children[0]!;
    const present = Uint8Array.from(elements, (element) => (element === null ? 0 : 1));
    const child = arrowData(elementType, elements, elements.length, present);
    return arrow.makeData({ type, length, ...nulls, valueOffsets, child });
  }
  if (arrow.DataType.isUtf8(type) || arrow.DataType.isBinary(type)) {
    const parts = Array.from({ length }, (_, i) => (isPresent(i) ? Buffer.from(cells[i] as string) : EMPTY));
    const valueOffsets = new Int32Array(length + 1);
    for (let i = 0; i < length; i++) valueOffsets[i + 1] = valueOffsets[i]! + parts[i]!.length;
    return arrow.makeData({ type: type as arrow.Utf8, length, ...nulls, valueOffsets, data: Buffer.concat(parts) });
  }
  if (arrow.DataType.isBool(type)) {
    const data = new Uint8Array(Math.ceil(length / 8));
    for (let i = 0; i < length; i++) if (cells[i] === true) data[i >> 3]! |= 1 << (i & 7);
    return arrow.makeData({ type, length, ...nulls, data });
  }
  return arrow.makeData({ type: type as arrow.Int, length, ...nulls, data: numbersOf(type, cells, length, isPresent) });
}

const EMPTY = Buffer.alloc(0);

function numbersOf(
  type: arrow.DataType,
  cells: EngineVector,
  length: number,
  isPresent: (i: number) => boolean,
): Int32Array {
  const data = new (type.ArrayType as Int32ArrayConstructor | BigInt64ArrayConstructor)(length);
  if (data instanceof BigInt64Array && cells instanceof Int32Array) {
    data.set(new BigInt64Array(cells.buffer, cells.byteOffset, length));
  } else if (data instanceof BigInt64Array || (data as unknown) instanceof BigUint64Array) {
    for (let i = 0; i < length; i++) data[i] = isPresent(i) ? BigInt(cells[i] as string | number) : 0n;
  } else {
    for (let i = 0; i < length; i++) data[i] = isPresent(i) ? Number(cells[i]) : 0;
  }
  return data as Int32Array;
}

function countNulls(validity: Uint8Array, length: number): number {
  let nulls = 0;
  for (let i = 0; i < length; i++) if (validity[i] === 0) nulls++;
  return nulls;
}
