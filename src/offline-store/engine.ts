/**
 * The batch engine: scans, sorts and joins columns, and hands them over as typed arrays.
 * It never computes a feature.
 */
import type { Value, ValueType } from "../schema/value.ts";

/**
 * How a result column is wanted. `number` needs a DOUBLE column (cast int64, bool and timestamps in SQL:
 * `epoch_us(t)::DOUBLE`), `int32` an INTEGER one, `int64` a BIGINT one, whose 64 bits are handed over as two
 * halves, the low one first; `text` VARCHAR; `value` converts any of the platform's types.
 */
export type EngineColumn =
  | { readonly as: "number" }
  | { readonly as: "int32" }
  | { readonly as: "int64" }
  | { readonly as: "text" }
  | { readonly as: "value"; readonly type: ValueType };

export type EngineVector = Float64Array | Int32Array | readonly (string | null)[] | readonly Value[];

/** Columns of at most some thousand rows. The arrays belong to the caller. */
export interface EngineBatch {
  readonly rowCount: number;
  readonly columns: readonly EngineVector[];
  /** One byte a row, 0 where null; null where the column has no nulls in this batch. */
  readonly validity: readonly (Uint8Array | null)[];
}

export interface TableColumn {
  readonly name: string;
  readonly type: ValueType;
}

/** What `fill` takes: `count` rows; numeric-like types (int64, timestamp, float64, bool as 0/1) as Float64Array + validity, others as values. */
export interface FillBatch {
  readonly rowCount: number;
  readonly columns: readonly (Float64Array | readonly Value[])[];
  readonly validity: readonly (Uint8Array | null)[];
}

export interface FillOptions {
  /**
   * Other work of this thread gets its turns behind each batch, and what an engine in this process takes over is taken over
   * in parts of about a millisecond. It costs more in all. Default false.
   */
  readonly inTurns?: boolean;
}

export interface EngineSettings {
  /** Bytes of memory it may use before it spills. */
  readonly memoryBytes?: number;
  readonly threads?: number;
  /** Existing folder in which spilled data gets a folder of its own, removed on close. Default: that of the system. */
  readonly spillFolder?: string;
  /** Bytes that may be spilled. Default: what is free on its disk, less a tenth. */
  readonly spillBytesMax?: number;
}

export interface QueryEngine {
  /**
   * Runs statements without a result. Errors become `FILE_UNREADABLE` for unreadable inputs, `STORAGE_FAILED` for a full
   * disk, `SPILL_FULL` where work does not fit into memory and what may be spilled, else `INTERNAL`.
   */
  run(sql: string): Promise<void>;
  /** A small result, all at once, as objects of platform values (int64 and timestamps as numbers; maps as JSON text). */
  rows(sql: string): Promise<Record<string, Value>[]>;
  /** Streams a result; the next chunk is requested before the present one is handed out. */
  stream(sql: string, columns: readonly EngineColumn[]): AsyncIterableIterator<EngineBatch>;
  /** Creates a table and fills it from typed arrays. A batch is done with when the next is asked for. */
  fill(
    table: string,
    columns: readonly TableColumn[],
    batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
    options?: FillOptions,
  ): Promise<void>;
  /** 0..1 of the running query, or null where unknown. */
  progress(): number | null;
  /** Stops the running query, which then throws `CANCELLED`. */
  interrupt(): void;
  close(): Promise<void>;
}

/** Quotes an identifier for SQL. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text for SQL. A statement would end at a NUL, so that one goes beside the literals. */
export function sqlText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return quoted.includes("\0") ? `(${quoted.replaceAll("\0", "' || chr(0) || '")})` : quoted;
}

/** The SQL type that holds a value type in tables and in Parquet files. */
export function sqlType(type: ValueType): string {
  switch (type.name) {
    case "int64":
      return "BIGINT";
    case "float64":
      return "DOUBLE";
    case "string":
      return "VARCHAR";
    case "bytes":
      return "BLOB";
    case "bool":
      return "BOOLEAN";
    case "timestamp":
      return "TIMESTAMPTZ";
    case "array":
      return `${sqlType(type.element)}[]`;
  }
}
