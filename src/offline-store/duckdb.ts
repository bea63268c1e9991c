/**
 * The batch engine on DuckDB, in process: the only file that knows the driver.
 *
 * Results are read vector by vector (`vector-memory.ts`). Every stream has a connection of its own (a second
 * query on one connection ends its open stream); tables are therefore made in the shared in-memory database,
 * never as temporary ones. Nothing is ever downloaded: installing and loading extensions is off.
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBAppender,
  type DuckDBResult,
  type DuckDBType,
  type DuckDBValue,
  type DuckDBVector,
} from "@duckdb/node-api";
import { OnefoldError } from "../base/errors.ts";
import { MICROS_PER_DAY } from "../base/micros.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { engineError } from "./engine-error.ts";
import {
  sqlName,
  sqlType,
  type EngineBatch,
  type EngineColumn,
  type EngineSettings,
  type EngineVector,
  type FillBatch,
  type FillOptions,
  type QueryEngine,
  type TableColumn,
} from "./engine.ts";
import { presentRows, type RawVector, readVector, writeNumbers } from "./vector-memory.ts";

/** Rows in one DuckDB vector. */
const CHUNK_ROWS = 2048;

const SESSION_SETTINGS =
  "SET TimeZone='UTC'; SET streaming_buffer_size='16MB'; SET enable_progress_bar=true; SET enable_progress_bar_print=false;";

/** Opens an engine with an in-memory database of its own. Throws `INTERNAL` where DuckDB cannot start. */
export async function openDuckDb(settings: EngineSettings = {}): Promise<QueryEngine> {
  const spillFolder = join(settings.spillFolder ?? tmpdir(), `onefold-spill-${randomUUID()}`);
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    temp_directory: spillFolder,
    ...(settings.memoryBytes === undefined ? {} : { memory_limit: kibibytes(settings.memoryBytes) }),
    ...(settings.threads === undefined ? {} : { threads: String(settings.threads) }),
  }).catch((error: unknown) => {
    throw engineError(error, "opening the engine");
  });
  const engine = new DuckDbEngine(instance, spillFolder);
  if (settings.spillBytesMax !== undefined) {
    // As a setting of the instance it would be shown, and not be kept.
    await engine.run(`SET max_temp_directory_size='${kibibytes(settings.spillBytesMax)}'`);
  }
  return engine;
}

function kibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)}KiB`;
}

class DuckDbEngine implements QueryEngine {
  readonly #instance: DuckDBInstance;
  readonly #spillFolder: string;
  readonly #idle: DuckDBConnection[] = [];
  /** Connections with a query under way, the newest last. */
  readonly #busy: DuckDBConnection[] = [];
  /** Of those that are busy: interrupted since they began. */
  readonly #stopped = new WeakSet<DuckDBConnection>();

  constructor(instance: DuckDBInstance, spillFolder: string) {
    this.#instance = instance;
    this.#spillFolder = spillFolder;
  }

  async run(sql: string): Promise<void> {
    await this.#withConnection(sql, async (connection) => {
      await connection.run(sql);
    });
  }

  async rows(sql: string): Promise<Record<string, Value>[]> {
    return this.#withConnection(sql, async (connection) => {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowObjects().map((row) => {
        const converted: Record<string, Value> = {};
        for (const [name, value] of Object.entries(row)) converted[name] = platformValue(value);
        return converted;
      });
    });
  }

  async *stream(sql: string, columns: readonly EngineColumn[]): AsyncIterableIterator<EngineBatch> {
    const connection = await this.#acquire();
    let pending: Promise<DuckDBDataChunk | null> | null = null;
    try {
      const result: DuckDBResult = await connection.stream(withEnd(sql, columns.length));
      const types = result.columnTypes();
      let isWhole = false;
      pending = result.fetchChunk();
      for (;;) {
        const chunk: DuckDBDataChunk | null = await pending;
        pending = null;
        if (chunk === null || chunk.rowCount === 0) {
          if (isWhole) return;
          throw this.#stopped.has(connection) ? new OnefoldError("CANCELLED", "the work was cancelled") : cutShort(sql);
        }
        // The end row is the last by what stands in the query; a row of nulls is never handed out for one.
        if (isWhole) throw new OnefoldError("INTERNAL", `rows came behind the end of a stream: ${sql}`);
        pending = result.fetchChunk();
        // A failure of the chunk behind is reported when its turn comes, also where the consumer is slow.
        pending.catch(() => {});
        isWhole = chunk.getColumnVector(columns.length).getItem(chunk.rowCount - 1) === true;
        const rowCount = isWhole ? chunk.rowCount - 1 : chunk.rowCount;
        if (rowCount > 0) yield readBatch(chunk, rowCount, columns, types);
      }
    } catch (error) {
      throw engineError(error, sql);
    } finally {
      if (pending !== null) {
        connection.interrupt();
        await pending.catch(() => {});
      }
      this.#release(connection, false);
    }
  }

  async fill(
    table: string,
    columns: readonly TableColumn[],
    batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
    { inTurns = false }: FillOptions = {},
  ): Promise<void> {
    const declared = columns.map((column) => `${sqlName(column.name)} ${sqlType(column.type)}`).join(", ");
    await this.#withConnection(`filling ${table}`, async (connection) => {
      await connection.run(`CREATE OR REPLACE TABLE ${sqlName(table)} (${declared})`);
      if (inTurns) await this.#appendInTurns(connection, table, columns, batches);
      else await appendAll(connection, table, columns, batches);
    });
  }

  /**
   * What was appended is taken over into the table in one go, by the thread that asks: tens of milliseconds for some ten
   * thousand rows. So it is asked for behind every chunk, within one transaction, which is cheaper than one each.
   */
  async #appendInTurns(
    connection: DuckDBConnection,
    table: string,
    columns: readonly TableColumn[],
    batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
  ): Promise<void> {
    await connection.run("BEGIN TRANSACTION");
    try {
      await appendAll(connection, table, columns, batches, async (appender, rowsWaiting) => {
        await setImmediate();
        if (rowsWaiting < CHUNK_ROWS) return rowsWaiting;
        appender.flushSync();
        await setImmediate();
        return 0;
      });
    } catch (error) {
      await connection.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
    await connection.run("COMMIT");
  }

  progress(): number | null {
    const connection = this.#busy.at(-1);
    if (connection === undefined) return null;
    const { percentage } = connection.progress;
    return percentage >= 0 ? Math.min(1, percentage / 100) : null;
  }

  interrupt(): void {
    for (const connection of this.#busy) {
      this.#stopped.add(connection);
      connection.interrupt();
    }
  }

  async close(): Promise<void> {
    this.interrupt();
    for (const connection of this.#idle.splice(0)) connection.disconnectSync();
    this.#instance.closeSync();
    await rm(this.#spillFolder, { recursive: true, force: true });
  }

  async #withConnection<T>(sql: string, work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    try {
      return await work(connection);
    } catch (error) {
      throw engineError(error, sql);
    } finally {
      this.#release(connection, true);
    }
  }

  async #acquire(): Promise<DuckDBConnection> {
    let connection = this.#idle.pop();
    if (connection === undefined) {
      connection = await this.#instance.connect();
      await connection.run(SESSION_SETTINGS);
    }
    this.#stopped.delete(connection);
    this.#busy.push(connection);
    return connection;
  }

  #release(connection: DuckDBConnection, reusable: boolean): void {
    this.#busy.splice(this.#busy.indexOf(connection), 1);
    if (reusable) this.#idle.push(connection);
    else connection.disconnectSync();
  }
}

/**
 * The query's rows, and behind them one that says that they are all. Where a query fails or is interrupted after its first
 * rows, the library gives no error: the stream ends as if there were no more.
 */
function withEnd(sql: string, columnCount: number): string {
  const nothing = Array.from({ length: columnCount }, () => "NULL, ").join("");
  return `SELECT *, false FROM (${sql}) UNION ALL SELECT ${nothing}true`;
}

/** Why, the library does not say. */
function cutShort(sql: string): OnefoldError {
  return new OnefoldError("STORAGE_FAILED", "the engine stopped reading before the end", {
    where: sql.length > 300 ? `${sql.slice(0, 300)}...` : sql,
    hint: "run it again; if it comes back, look at the disk, at the room that is left on it, and at the files that are read",
  });
}

function readBatch(
  chunk: DuckDBDataChunk,
  rowCount: number,
  columns: readonly EngineColumn[],
  types: readonly DuckDBType[],
): EngineBatch {
  const vectors: EngineVector[] = [];
  const validity: (Uint8Array | null)[] = [];
  for (let index = 0; index < columns.length; index++) {
    const vector = rawOf(chunk.getColumnVector(index));
    const present = presentRows(vector, rowCount);
    validity.push(present);
    vectors.push(readVector(vector, columns[index]!, rowCount, present, { type: types[index]!, valueOf: typedValue }));
  }
  return { rowCount, columns: vectors, validity };
}

/** The driver declares those parts private that carry the column's raw memory. */
function rawOf(vector: DuckDBVector): RawVector {
  return vector as unknown as RawVector;
}

/** `item`: of one row, as the driver has it. */
function typedValue(item: unknown, type: ValueType): Value {
  const value = item as DuckDBValue;
  if (value === null) return null;
  if (type.name === "int64" && type.wide === true) return String(value);
  if (type.name === "array" && value instanceof DuckDBListValue) {
    return value.items.map((element) => typedValue(element, type.element));
  }
  return platformValue(value);
}

/** 64-bit integers become numbers where that is exact, else decimal text; times become microseconds. */
function platformValue(value: DuckDBValue): Value {
  switch (typeof value) {
    case "bigint": {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : String(value);
    }
    case "object":
      if (value === null) return null;
      if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue) {
        return platformValue(value.micros);
      }
      if (value instanceof DuckDBDateValue) return value.days * MICROS_PER_DAY;
      if (value instanceof DuckDBBlobValue) return Uint8Array.from(value.bytes);
      if (value instanceof DuckDBListValue) return value.items.map(platformValue);
      if (value instanceof DuckDBDecimalValue) return value.toDouble();
      if (value instanceof DuckDBMapValue) return JSON.stringify(plainMap(value));
      return String(value);
    default:
      return value;
  }
}

/** A map (only file statistics have them) as a JSON object. */
function plainMap(map: DuckDBMapValue): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const { key, value } of map.entries) {
    plain[String(key)] = value instanceof DuckDBMapValue ? plainMap(value) : platformValue(value);
  }
  return plain;
}

/** `behindBatch` is told how many rows were appended since there were 0, and tells how many of them still count. */
async function appendAll(
  connection: DuckDBConnection,
  table: string,
  columns: readonly TableColumn[],
  batches: Iterable<FillBatch> | AsyncIterable<FillBatch>,
  behindBatch?: (appender: DuckDBAppender, rowsWaiting: number) => Promise<number>,
): Promise<void> {
  const appender = await connection.createAppender(table);
  const types = columns.map((_, index) => appender.columnType(index));
  let rowsWaiting = 0;
  try {
    for await (const batch of batches) {
      for (let from = 0; from < batch.rowCount; from += CHUNK_ROWS) {
        appendChunk(appender, types, columns, batch, from, Math.min(CHUNK_ROWS, batch.rowCount - from));
      }
      if (behindBatch !== undefined) rowsWaiting = await behindBatch(appender, rowsWaiting + batch.rowCount);
    }
  } finally {
    appender.closeSync();
  }
}

function appendChunk(
  appender: DuckDBAppender,
  types: readonly DuckDBType[],
  columns: readonly TableColumn[],
  batch: FillBatch,
  from: number,
  count: number,
): void {
  const chunk = DuckDBDataChunk.create(types, count);
  for (let index = 0; index < columns.length; index++) {
    const vector = chunk.getColumnVector(index);
    const cells = batch.columns[index]!;
    const present = batch.validity[index] ?? null;
    const { type } = columns[index]!;
    if (cells instanceof Float64Array) {
      writeNumbers(rawOf(vector), type, { cells, present }, from, count);
    } else {
      for (let i = 0; i < count; i++) {
        const value = present !== null && present[from + i] === 0 ? null : (cells[from + i] ?? null);
        vector.setItem(i, driverValue(value, type));
      }
    }
    vector.flush();
  }
  appender.appendDataChunk(chunk);
}

function driverValue(value: Value, type: ValueType): DuckDBValue {
  if (value === null) return null;
  switch (type.name) {
    case "int64":
      return BigInt(value as number | string);
    case "timestamp":
      return new DuckDBTimestampTZValue(BigInt(value as number));
    case "bytes":
      return new DuckDBBlobValue(value as Uint8Array);
    case "array":
      return new DuckDBListValue((value as readonly Value[]).map((item) => driverValue(item, type.element)));
    default:
      return value as number | string | boolean;
  }
}
