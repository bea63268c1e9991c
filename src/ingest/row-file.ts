/**
 * A file's rows as `push` takes them: the way in for files whose rows are events of now, not history.
 *
 * Nothing is guessed at and nothing judged: values keep what the file says, in the JSON form that the door
 * understands, and the door refuses what does not fit. CSV has text only, so there the source's column types
 * say which cells are meant as numbers and booleans; a cell that is none stays text, for the door to refuse.
 */
import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { type EngineColumn, type EngineVector, type QueryEngine, sqlName } from "../offline-store/engine.ts";
import { parquetSql } from "../offline-store/file-sql.ts";
import type { Value } from "../schema/value.ts";
import { csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";

type FileRow = Readonly<Record<string, unknown>>;

export interface RowFileRequest {
  readonly path: string;
  /** Columns of the source that the rows are for, with their types as `formatType` writes them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rowsPerBatch: number;
  /** Opened only where the format needs it; closed at the end. */
  readonly openEngine: () => Promise<QueryEngine>;
}

/** Batches of rows in the file's order. Throws `FILE_UNREADABLE`, naming the line of a row that is no JSON or has too few or many fields. */
export async function* readRowFile(request: RowFileRequest): AsyncIterableIterator<readonly FileRow[]> {
  const ending = extname(request.path).toLowerCase();
  switch (ending) {
    case ".ndjson":
    case ".jsonl":
      yield* readJsonLines(request);
      return;
    case ".csv":
    case ".parquet":
      yield* readThroughEngine(request, ending);
      return;
    default:
      throw new OnefoldError("FILE_UNREADABLE", `${request.path} has an unknown format`, {
        hint: "give a file that ends in .parquet, .csv, .ndjson or .jsonl",
      });
  }
}

async function* readJsonLines({ path, rowsPerBatch }: RowFileRequest): AsyncIterableIterator<readonly FileRow[]> {
  const stream = createReadStream(path, "utf8");
  const opened = new Promise<void>((resolve, reject) => stream.once("ready", resolve).once("error", reject));
  await opened.catch((cause: unknown) => {
    throw new OnefoldError("FILE_UNREADABLE", `${path} cannot be opened`, { cause });
  });
  let batch: FileRow[] = [];
  let lineNumber = 0;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    lineNumber++;
    if (line.trim() === "") continue;
    batch.push(parseLine(line, `${path}:${lineNumber}`));
    if (batch.length === rowsPerBatch) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

function parseLine(line: string, where: string): FileRow {
  try {
    return JSON.parse(line) as FileRow;
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", "a line is not JSON", {
      where,
      hint: MEND_AND_REPEAT,
      cause,
    });
  }
}

const MEND_AND_REPEAT =
  "rows before it are taken in; mend the line and ingest the file again (event ids keep rows from counting twice)";

/** How one column of the file is asked for, and what a value of it becomes. */
interface ColumnReader {
  readonly name: string;
  readonly sql: string;
  readonly engineColumn: EngineColumn;
  readonly toJson: (value: Value) => unknown;
}

async function* readThroughEngine(request: RowFileRequest, ending: string): AsyncIterableIterator<readonly FileRow[]> {
  const engine = await request.openEngine();
  try {
    const { path } = request;
    const table = ending === ".csv" ? csvReaderSql(path, await readCsvHeader(path)) : parquetSql(path);
    const described = await engine.rows(`DESCRIBE SELECT * FROM ${table}`);
    const readers = described.map((column) => {
      const name = String(column["column_name"]);
      const declared = request.columns.find((each) => each.name === name)?.type;
      return ending === ".csv" ? csvReader(name, declared) : typedReader(name, String(column["column_type"]));
    });
    const query = `SELECT ${readers.map((reader) => reader.sql).join(", ")} FROM ${table}`;
    let batch: FileRow[] = [];
    for await (const { rowCount, columns, validity } of engine.stream(
      query,
      readers.map((reader) => reader.engineColumn),
    )) {
      for (let row = 0; row < rowCount; row++) {
        batch.push(
          Object.fromEntries(readers.map((reader, i) => [reader.name, cell(reader, columns[i]!, validity[i]!, row)])),
        );
        if (batch.length === request.rowsPerBatch) {
          yield batch;
          batch = [];
        }
      }
    }
    if (batch.length > 0) yield batch;
  } catch (error) {
    throw (isOnefoldError(error) ? await csvRowError(request.path, error, MEND_AND_REPEAT) : null) ?? error;
  } finally {
    await engine.close();
  }
}

function cell(reader: ColumnReader, column: EngineVector, validity: Uint8Array | null, row: number): unknown {
  const value = validity !== null && validity[row] === 0 ? null : column[row]!;
  return value === null ? null : reader.toJson(value);
}

function csvReader(name: string, declared: string | undefined): ColumnReader {
  const toJson = (value: Value): unknown => jsonOfText(String(value), declared);
  return { name, sql: sqlName(name), engineColumn: { as: "text" }, toJson };
}

/** The value that a CSV cell means where its column has the declared type; the text itself where it means none. */
export function jsonOfText(text: string, declared: string | undefined): unknown {
  switch (declared) {
    case "int64":
      return integerOfText(text);
    case "float64":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "bool":
      return text === "true" || (text === "false" ? false : text);
    default:
      return declared?.startsWith("array<") === true ? arrayOfText(text) : text;
  }
}

/** Beyond the safe range the decimal text stays: a wide column takes it, the door refuses it for any other. */
function integerOfText(text: string): number | string {
  return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

function arrayOfText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const INTEGER = /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER)$/;
const FRACTION = /^(?:FLOAT|DOUBLE|DECIMAL)/;
const TIME = /^(?:TIMESTAMP|DATE$)/;

function typedReader(name: string, type: string): ColumnReader {
  const column = sqlName(name);
  const same = (value: Value): unknown => value;
  if (INTEGER.test(type)) {
    const toJson = (value: Value): unknown => integerOfText(String(value));
    return { name, sql: `${column}::VARCHAR`, engineColumn: { as: "text" }, toJson };
  }
  if (FRACTION.test(type) && !type.endsWith("]")) {
    return { name, sql: `${column}::DOUBLE`, engineColumn: { as: "number" }, toJson: same };
  }
  if (TIME.test(type) && !type.endsWith("]")) {
    const sql = `epoch_us(${column}::TIMESTAMPTZ)::DOUBLE`;
    return { name, sql, engineColumn: { as: "number" }, toJson: (value) => ({ micros: value }) };
  }
  if (type === "BOOLEAN") {
    return { name, sql: column, engineColumn: { as: "value", type: { name: "bool" } }, toJson: same };
  }
  if (type === "BLOB") return { name, sql: `base64(${column})`, engineColumn: { as: "text" }, toJson: same };
  if (type.endsWith("]")) {
    const toJson = (value: Value): unknown => arrayOfText(String(value));
    return { name, sql: `to_json(${column})::VARCHAR`, engineColumn: { as: "text" }, toJson };
  }
  return { name, sql: `${column}::VARCHAR`, engineColumn: { as: "text" }, toJson: same };
}
