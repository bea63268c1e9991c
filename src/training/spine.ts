/**
 * The spine: the label rows of a training set, read into the engine as they are, with a row number, a
 * time and one canonical key an entity beside them.
 *
 * Tables it leaves in the engine: `spine` (the file's own columns, in its order), `spine_label`
 * (`row`, `t`, `key_0`, ... one a named entity) and `spine_entity_<i>` (`entity_id` dense in key order, `entity_key`,
 * `last_time` of its labels).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { EntityDefinition } from "../define/definition.ts";
import { type CsvHeader, csvTypedReaderSql } from "../offline-store/csv-file.ts";
import { sqlName, sqlText, type QueryEngine } from "../offline-store/engine.ts";
import { fileSql, parquetSql } from "../offline-store/file-sql.ts";
import { jsonLineError } from "../offline-store/file-fault.ts";
import { type Column, type ValueType, formatType } from "../schema/value.ts";
import { type ByService, byService } from "./by-service.ts";
import type { GeneratedRows } from "./manifest.ts";
import { refuseRepeatedKey, refuseRepeatedNames, repeatedInNdjson } from "./repeated-columns.ts";
import { checkCsv, isGuessed, lossyColumns } from "./spine-csv.ts";
import { keyTextSql, microsSql } from "./spine-sql.ts";

export type SpineFormat = "parquet" | "csv" | "ndjson";

export interface SpineRequest {
  readonly path: string;
  /** By the file's ending where it is not given. */
  readonly format?: SpineFormat;
  /** By the usual names (`TIME_COLUMNS`) where it is not given. */
  readonly timeColumn?: string;
  /** By `TOKEN_COLUMNS` where it is not given; of several services `<service>_token`. */
  readonly tokenColumn?: ByService<string>;
  /** Label columns that hold an entity's key, by entity name; else columns named like the key columns. */
  readonly keyColumns?: Readonly<Record<string, readonly string[]>>;
  /** Says that the rows were generated, and how. */
  readonly generated?: GeneratedRows;
}

export interface Spine {
  readonly path: string;
  readonly sha256: string;
  readonly rowCount: number;
  /** The file's columns in its order, with the engine's type. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly timeColumn: string | null;
  /** Of each of the services asked for, in their order. */
  readonly tokenColumns: readonly (string | null)[];
  /** Label columns of each entity's key, in the order of the entities asked for. */
  readonly keyColumns: readonly (readonly string[])[];
}

/** What a spine without a named time column is searched for, in this order. */
export const TIME_COLUMNS: readonly string[] = ["event_timestamp", "timestamp", "label_time", "t"];
/** What the engine takes text for in which it may have guessed at the order of day and month. */
const GUESSED_TIME = /^(?:DATE$|TIMESTAMP)/;
const TOKEN_COLUMNS: readonly string[] = ["token", "vector_token"];

/** Table that holds the dense ids of one of the entities asked for. */
export function spineEntityTable(entityIndex: number): string {
  return `spine_entity_${entityIndex}`;
}

/**
 * Reads the label file. `needs` says which of time and tokens, one of each service, a row must have beside keys; the text and the times among the `declared` columns
 * are text and a list is JSON text, whatever they look like in a file without types. Throws `FILE_UNREADABLE`, and
 * `SPINE_INVALID` naming the column, the first bad row (counted from 1) and how many there are.
 */
export async function readSpine(
  engine: QueryEngine,
  request: SpineRequest,
  entities: readonly EntityDefinition[],
  needs: "time" | "token" | "keys",
  declared: readonly Column[] = [],
  services: readonly string[] = [],
): Promise<Spine> {
  const hashing = sha256OfFile(request.path);
  hashing.catch(() => {});
  const format = request.format ?? formatOf(request.path);
  const { path } = request;
  const opening = format === "csv" ? checkCsv(engine, path) : Promise.resolve(null);
  const csv = await opening.catch(async (error: unknown) => {
    // That there is no file, or none that can be read, is said better by who reads it whole.
    await hashing;
    throw error;
  });
  const header = csv?.header ?? null;
  const sniffed = await describe(engine, scanSql(path, format, header, new Map())).catch(async (error: unknown) => {
    await hashing;
    throw format === "ndjson" ? await namedLine(path, error) : error;
  });
  const names = sniffed.map(({ name }) => name);
  await refuseRepeatedNames(engine, { path, format, header, names });
  // What the engine makes of lines that are not all objects.
  if (format === "ndjson" && sniffed.length === 1 && sniffed[0]!.name === "json") await refuseBrokenLine(path);
  const timeColumn = findColumn(sniffed, request.timeColumn, TIME_COLUMNS, needs === "time" ? "time" : null);
  const tokenColumns = findTokenColumns(sniffed, request, services, needs === "token" ? "token" : null);
  const keyColumns = entities.map((entity) => findKeyColumns(sniffed, entity, request.keyColumns?.[entity.name]));

  const asText = new Set(declared.flatMap(({ name, type }) => (type.name === "string" ? [name] : [])));
  if (timeColumn !== null) asText.add(timeColumn);
  for (const column of tokenColumns) if (column !== null) asText.add(column);
  const sniffedOf = new Map(sniffed.map(({ name, type }) => [name, type]));
  const isGuessedTime = (name: string, { name: type }: ValueType): boolean =>
    type === "timestamp" && GUESSED_TIME.test(sniffedOf.get(name) ?? "");
  for (const { name, type } of declared) if (isGuessedTime(name, type)) asText.add(name);
  entities.forEach((entity, index) => {
    entity.keys.forEach((key, part) => {
      const column = keyColumns[index]![part]!;
      // Where some of the keys are numbers and some text, as those of 64 bits may be, they are JSON to the engine.
      const isMixed = sniffedOf.get(column) === "JSON";
      if (isGuessedTime(column, key.type)) asText.add(column);
      if (key.type.name === "string" || (key.type.name === "int64" && isMixed)) asText.add(column);
    });
  });
  const lists = new Set(declared.flatMap(({ name, type }) => (type.name === "array" ? [name] : [])));
  const listType = format === "ndjson" ? "JSON" : "VARCHAR";
  const inferred = sniffed.filter(({ name }) => !asText.has(name) && !lists.has(name));
  const guessed = format === "ndjson" ? inferred.filter(({ type }) => isGuessed(type)).map(({ name }) => name) : [];
  const lossy = csv === null ? new Set(guessed) : await lossyColumns(engine, path, csv, inferred);
  const typeFor = ({ name, type }: SpineColumn): string => {
    if (asText.has(name)) return "VARCHAR";
    if (lists.has(name)) return listType;
    return lossy.has(name) ? "VARCHAR" : type;
  };
  const types = new Map(sniffed.map((column) => [column.name, typeFor(column)]));
  const read = `CREATE OR REPLACE TABLE spine AS SELECT * FROM ${scanSql(path, format, header, types)}`;
  await engine.run(read).catch((error: unknown) => {
    const twice = format === "ndjson" && isOnefoldError(error) ? repeatedInNdjson(path, error) : null;
    throw twice ?? error;
  });
  const columns = await describe(engine, "spine");
  const typeOf = new Map(columns.map((column) => [column.name, column.type]));

  const selected = ["(row_number() OVER () - 1)::INTEGER AS row"];
  selected.push(
    timeColumn === null ? "NULL::DOUBLE AS t" : `${microsSql(timeColumn, typeOf.get(timeColumn)!)}::DOUBLE AS t`,
  );
  entities.forEach((entity, index) => selected.push(`${keySql(entity, keyColumns[index]!, typeOf)} AS key_${index}`));
  await engine.run(`CREATE OR REPLACE TABLE spine_label AS SELECT ${selected.join(", ")} FROM spine`);

  if (timeColumn !== null && needs === "time") {
    await refuseBadRows(engine, [timeColumn], "t", `a time (its type is ${typeOf.get(timeColumn)})`, TIME_HINT);
  }
  for (const [index, entity] of entities.entries()) {
    const types = entity.keys.map((key) => formatType(key.type)).join(", ");
    await refuseBadRows(engine, keyColumns[index]!, `key_${index}`, `the key of entity ${entity.name} (${types})`);
    await engine.run(
      `CREATE OR REPLACE TABLE ${spineEntityTable(index)} AS
       SELECT (row_number() OVER (ORDER BY entity_key) - 1)::INTEGER AS entity_id, entity_key, last_time
       FROM (SELECT key_${index} AS entity_key, max(t) AS last_time FROM spine_label GROUP BY 1) ORDER BY entity_id`,
    );
  }
  const [{ n } = { n: 0 }] = await engine.rows("SELECT count(*) AS n FROM spine");
  return {
    path: request.path,
    sha256: await hashing,
    rowCount: Number(n),
    columns,
    timeColumn,
    tokenColumns,
    keyColumns,
  };
}

function formatOf(path: string): SpineFormat {
  const name = path.toLowerCase().replace(/\.gz$/, "");
  if (/\.(parquet|pq)$/.test(name)) return "parquet";
  if (/\.(csv|tsv)$/.test(name)) return "csv";
  if (/\.(ndjson|jsonl|json)$/.test(name)) return "ndjson";
  throw new OnefoldError("FILE_UNREADABLE", "the label file's format cannot be told from its ending", {
    where: path,
    hint: "name it .parquet, .csv, .ndjson or .jsonl",
  });
}

const MEND_THE_LINE = "NDJSON carries one whole JSON object a line: mend the line";

async function refuseBrokenLine(path: string): Promise<void> {
  const broken = await jsonLineError(path, MEND_THE_LINE, null);
  if (broken !== null) throw broken;
}

/** The engine says of a broken line at which byte it is, and of some which options to try. */
async function namedLine(path: string, error: unknown): Promise<unknown> {
  return (isOnefoldError(error) ? await jsonLineError(path, MEND_THE_LINE, error).catch(() => null) : null) ?? error;
}

interface SpineColumn {
  readonly name: string;
  readonly type: string;
}

/** `types` states every column's type; without any the engine infers them from the whole file. */
function scanSql(
  path: string,
  format: SpineFormat,
  header: CsvHeader | null,
  types: ReadonlyMap<string, string>,
): string {
  switch (format) {
    case "parquet":
      return parquetSql(path);
    case "csv":
      return csvTypedReaderSql(path, header!, types);
    case "ndjson": {
      const columns = [...types].map(([name, type]) => `${sqlText(name)}: ${sqlText(type)}`).join(", ");
      return `read_json(${fileSql(path)}, hive_partitioning = false, sample_size = -1${columns === "" ? "" : `, columns = {${columns}}`})`;
    }
  }
}

async function describe(engine: QueryEngine, from: string): Promise<SpineColumn[]> {
  const rows = await engine.rows(`DESCRIBE SELECT * FROM ${from}`);
  return rows.map((row) => ({ name: String(row["column_name"]), type: String(row["column_type"]) }));
}

function findColumn(
  columns: readonly SpineColumn[],
  wanted: string | undefined,
  usual: readonly string[],
  needed: "time" | "token" | null,
): string | null {
  const found = (wanted === undefined ? usual : [wanted]).find((name) =>
    columns.some((column) => column.name === name),
  );
  if (found !== undefined) return found;
  if (wanted === undefined && needed === null) return null;
  const lookedFor = wanted === undefined ? `none of ${usual.join(", ")} is a column` : `${wanted} is not a column`;
  throw new OnefoldError("SPINE_INVALID", `the label rows have no ${needed ?? "such"} column: ${lookedFor}`, {
    hint: `name it with --${needed ?? "time"}-column (over HTTP: ${needed ?? "time"}_column); the file has ${columns.map((column) => column.name).join(", ")}`,
    candidates: columns.map((column) => column.name),
  });
}

function findTokenColumns(
  columns: readonly SpineColumn[],
  { tokenColumn }: SpineRequest,
  services: readonly string[],
  needed: "token" | null,
): (string | null)[] {
  if (services.length === 0) return [];
  const named = byService(services, tokenColumn, "token column");
  return services.map((service) => {
    const usual = services.length === 1 ? TOKEN_COLUMNS : [`${service}_token`];
    return findColumn(columns, named.get(service), usual, needed);
  });
}

function findKeyColumns(
  columns: readonly SpineColumn[],
  entity: EntityDefinition,
  mapped: readonly string[] | undefined,
): readonly string[] {
  const names = mapped ?? entity.keys.map((key) => key.name);
  if (names.length !== entity.keys.length) {
    throw new OnefoldError(
      "SPINE_INVALID",
      `entity ${entity.name} has ${entity.keys.length} key columns, ${names.length} were named`,
    );
  }
  refuseRepeatedKey(entity.name, names);
  const missing = names.filter((name) => !columns.some((column) => column.name === name));
  if (missing.length > 0) {
    throw new OnefoldError(
      "SPINE_INVALID",
      `the label rows lack ${missing.join(", ")}, the key of entity ${entity.name}`,
      {
        hint: `add the column, or name what holds it (\`onefold train --key entity=column\`, \`keyColumns\` in code); the file has ${columns.map((column) => column.name).join(", ")}`,
        candidates: columns.map((column) => column.name),
      },
    );
  }
  return names;
}

function keySql(entity: EntityDefinition, names: readonly string[], typeOf: ReadonlyMap<string, string>): string {
  const parts = entity.keys.map((key: { readonly type: ValueType }, part) =>
    keyTextSql(names[part]!, typeOf.get(names[part]!)!, key.type, `the key of entity ${entity.name}`),
  );
  if (parts.length === 1) return parts[0]!;
  // `||` is null as soon as one part is; concat would skip it.
  return parts.map((part) => `replace(replace(${part}, '\\', '\\\\'), '|', '\\|')`).join(" || '|' || ");
}

const TIME_HINT =
  "what is read as a time is a timestamp, a date or ISO 8601 text such as 2026-03-01T12:30:00Z; a bare number does not say its unit: write seconds or milliseconds since 1970 as one of these";

async function refuseBadRows(
  engine: QueryEngine,
  columns: readonly string[],
  result: string,
  wanted: string,
  hint?: string,
): Promise<void> {
  const isNull = columns.map((name) => `s.${sqlName(name)} IS NULL`).join(" OR ");
  const [row] = await engine.rows(
    `SELECT count(*) AS bad, min(l.row) AS first, count(*) FILTER (WHERE ${isNull}) AS nulls
     FROM spine s POSITIONAL JOIN spine_label l WHERE l.${result} IS NULL`,
  );
  const bad = Number(row?.["bad"] ?? 0);
  if (bad === 0) return;
  const nulls = Number(row!["nulls"]);
  const why =
    nulls === bad ? "null" : nulls === 0 ? `not ${wanted}` : `null (${nulls}) or not ${wanted} (${bad - nulls})`;
  throw new OnefoldError(
    "SPINE_INVALID",
    `${columns.join(", ")} is ${why} in ${bad} label row${bad === 1 ? "" : "s"}`,
    {
      where: `row ${Number(row!["first"]) + 1} is the first (counted from 1, without a header)`,
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const what = isMissing ? "there is no such label file" : "the label file cannot be read";
    throw new OnefoldError("FILE_UNREADABLE", what, { where: path, cause });
  }
  return hash.digest("hex");
}
