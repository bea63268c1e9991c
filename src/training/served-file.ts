/**
 * A serving log of the user's own, held against us: label rows with the values that some server gave for them.
 *
 * Each row names its entities and its time (or carries a token of ours, and then nothing but the server's code is left to
 * differ); its columns that are named as features of the service are what was served. They are compared with what serving
 * without a lag would have returned, to the bit.
 */
import { OnefoldError } from "../base/errors.ts";
import { parseMicros } from "../base/micros.ts";
import { type QueryEngine, sqlName, sqlType } from "../offline-store/engine.ts";
import { parquetSql } from "../offline-store/file-sql.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { sameBits } from "./same-bits.ts";
import { microsSql } from "./spine-sql.ts";
import { type TrainingSet, type TrainRequest, train } from "./training-set.ts";

export interface ServedFileRequest extends Pick<TrainRequest, "ports" | "fit" | "signal" | "onProgress"> {
  readonly service: string;
  /** A Parquet file. */
  readonly path: string;
  readonly timeColumn?: string;
  /** Rows that carry tokens are computed as they were served, lag and all. */
  readonly tokenColumn?: string;
  readonly keyColumns?: Readonly<Record<string, readonly string[]>>;
  /** The file's column of a feature, where it is named otherwise. */
  readonly featureColumns?: Readonly<Record<string, string>>;
  /** Numbers that differ by no more than this part of the larger one are the same. Default 0: to the bit. */
  readonly tolerance?: number;
  onCompared(comparison: ServedFileComparison): void;
}

export interface ServedFileComparison {
  readonly feature: string;
  /** From 0. */
  readonly row: number;
  /** The row's key columns. */
  readonly entity: Readonly<Record<string, Value>>;
  readonly asOfMicros: number;
  readonly served: Value;
  readonly recomputed: Value;
  readonly isSame: boolean;
}

export interface ServedFileResult {
  readonly rows: number;
  /** Features of the service that the file has a column of. */
  readonly features: readonly string[];
  /** Those that it has none of. */
  readonly notInFile: readonly string[];
  /** Rows of a time behind the end of the archived events: not compared. */
  readonly pendingRows: number;
}

/** Throws what `train` throws, and `SPINE_INVALID` for a file with no column of a feature. */
export async function auditServedFile(request: ServedFileRequest): Promise<ServedFileResult> {
  const { ports, path, service, timeColumn, tokenColumn, keyColumns, signal, onProgress, fit } = request;
  if (!/\.(parquet|pq)$/i.test(path)) {
    throw new OnefoldError("FILE_UNREADABLE", "a serving log to be audited is a Parquet file", {
      where: path,
      hint: "values must be as they were served, to the bit: text does not say which type they had",
    });
  }
  const set = await train({
    ports,
    service,
    labels: {
      path,
      ...(timeColumn === undefined ? {} : { timeColumn }),
      ...(tokenColumn === undefined ? {} : { tokenColumn }),
      ...(keyColumns === undefined ? {} : { keyColumns }),
    },
    knowledge: tokenColumn === undefined ? "as-known" : "as-served",
    boundary: "inclusive",
    allowAfterLog: true,
    ...(fit === undefined ? {} : { fit }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const engine = await ports.openEngine();
  try {
    return await compare(engine, request, set);
  } finally {
    await engine.close();
  }
}

async function compare(engine: QueryEngine, request: ServedFileRequest, set: TrainingSet): Promise<ServedFileResult> {
  const { path, featureColumns = {}, tolerance = 0, onCompared } = request;
  const from = parquetSql(path);
  const described = await engine.rows(`DESCRIBE SELECT * FROM ${from}`);
  const types = new Map(described.map((row) => [String(row["column_name"]), String(row["column_type"])]));
  const served = set.columns.flatMap((column) => {
    const name = featureColumns[column.name] ?? column.name;
    return types.has(name) ? [{ column, name }] : [];
  });
  if (served.length === 0) {
    const names = set.columns.map(({ name }) => name);
    throw new OnefoldError("SPINE_INVALID", `the file has no column of a feature of ${request.service}`, {
      where: path,
      hint: `name a column as one of ${names.join(", ")}, or map it: --feature feature=column`,
      candidates: [...types.keys()],
    });
  }
  const { spine } = set.manifest;
  const keys = [...new Set(Object.values(spine.keyColumns).flat())];
  const time =
    spine.timeColumn === null ? "NULL::DOUBLE" : `${microsSql(spine.timeColumn, types.get(spine.timeColumn)!)}::DOUBLE`;
  const sql = `SELECT ${time}, ${keys.map((name) => `${sqlName(name)}::VARCHAR`).join(", ")}${served
    .map(({ name, column }) => `, ${cellSql(name, column.type)}`)
    .join("")} FROM ${from}`;
  const wanted = [
    { as: "number" } as const,
    ...keys.map(() => ({ as: "text" }) as const),
    ...served.map(({ column }) => cellColumn(column.type)),
  ];
  const logEnd = set.manifest.knowledge === "as-served" ? Number.POSITIVE_INFINITY : endOf(set);
  let row = 0;
  let pendingRows = 0;
  for await (const batch of engine.stream(sql, wanted)) {
    for (let i = 0; i < batch.rowCount; i++, row++) {
      const cell = (c: number): Value => (batch.validity[c]?.[i] === 0 ? null : (batch.columns[c]![i] as Value));
      const asOfMicros = (cell(0) as number | null) ?? Number.NaN;
      if (asOfMicros > logEnd) {
        pendingRows++;
        continue;
      }
      const entity = Object.fromEntries(keys.map((name, k) => [name, cell(1 + k)]));
      for (const [s, { column }] of served.entries()) {
        const given = valueOf(cell(1 + keys.length + s), column.type);
        const recomputed = column.value(row);
        const isSame = sameBits(given, recomputed) || isWithin(given, recomputed, tolerance);
        onCompared({ feature: column.name, row, entity, asOfMicros, served: given, recomputed, isSame });
      }
    }
  }
  const features = served.map(({ column }) => column.name);
  const notInFile = set.columns.map(({ name }) => name).filter((name) => !features.includes(name));
  return { rows: set.rowCount, features, notInFile, pendingRows };
}

function endOf(set: TrainingSet): number {
  const ends = set.manifest.sources.flatMap(({ logEnd }) => (logEnd === null ? [] : [parseMicros(logEnd)]));
  return Math.min(Number.POSITIVE_INFINITY, ...ends);
}

function isWithin(a: Value, b: Value, tolerance: number): boolean {
  if (tolerance === 0 || typeof a !== "number" || typeof b !== "number") return false;
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}

/** What cannot be the feature's value is null: it was not served as such. */
function cellSql(name: string, type: ValueType): string {
  const cast = `TRY_CAST(${sqlName(name)} AS ${sqlType(type)})`;
  if (type.name === "timestamp") return `epoch_us(${cast})::DOUBLE`;
  return holdsNumber(type) ? `${cast}::DOUBLE` : cast;
}

function cellColumn(type: ValueType) {
  return holdsNumber(type) ? ({ as: "number" } as const) : ({ as: "value", type } as const);
}

function holdsNumber(type: ValueType): boolean {
  if (type.name === "int64") return type.wide !== true;
  return type.name === "float64" || type.name === "bool" || type.name === "timestamp";
}

function valueOf(cell: Value, type: ValueType): Value {
  return type.name === "bool" && cell !== null ? cell !== 0 : cell;
}
