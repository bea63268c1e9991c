/**
 * Stored events as a relation in SQL, and how their columns come out of it: times as doubles of microseconds.
 */
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { Column, Value, ValueType } from "../schema/value.ts";
import { sqlName, sqlType, type EngineColumn, type EngineVector } from "./engine.ts";
import { parquetSql } from "./file-sql.ts";
import type { TableFile } from "./offline-store.ts";

/**
 * The archive's files as a relation of the given stored columns and `_event_time`, `_known_time`, `_offset`,
 * `_id`. Columns that files written earlier lack are null; no files at all make an empty relation.
 */
export function eventRelation(files: readonly TableFile[], columns: readonly Column[]): string {
  const typed = [...columns.map(({ name, type }) => [name, sqlType(type)] as const), ...META_COLUMNS];
  const empty = `SELECT ${typed.map(([name, type]) => `NULL::${type} AS ${sqlName(name)}`).join(", ")} WHERE false`;
  if (files.length === 0) return `(${empty})`;
  const paths = files.map((file) => file.path);
  return `(SELECT ${typed.map(([name]) => sqlName(name)).join(", ")}
    FROM (${empty} UNION ALL BY NAME SELECT * FROM ${parquetSql(paths, "union_by_name = true")}))`;
}

const META_COLUMNS = [
  ["_event_time", "TIMESTAMPTZ"],
  ["_known_time", "TIMESTAMPTZ"],
  ["_offset", "BIGINT"],
  ["_id", "VARCHAR"],
] as const;

const NUMBER: EngineColumn = { as: "number" };

/** Throws `DEFINITION_INVALID` where the source stores none of that name. */
export function storedColumn(source: SourceDefinition, name: string): Column {
  const column = source.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new OnefoldError("DEFINITION_INVALID", `source ${source.name} stores no column ${name}`, {
    where: `source ${source.name}`,
    candidates: source.columns.map((candidate) => candidate.name),
  });
}

function isNumberLike(type: ValueType): boolean {
  return type.name === "float64" || type.name === "timestamp" || (type.name === "int64" && type.wide !== true);
}

/** An event column as `engineColumn` wants it, of a relation named `s`. */
export function columnSql({ name, type }: Column): string {
  if (type.name === "timestamp") return `epoch_us(s.${sqlName(name)})::DOUBLE`;
  return isNumberLike(type) || type.name === "bool" ? `s.${sqlName(name)}::DOUBLE` : `s.${sqlName(name)}`;
}

export function engineColumn({ type }: Column): EngineColumn {
  if (isNumberLike(type) || type.name === "bool") return NUMBER;
  return type.name === "string" ? { as: "text" } : { as: "value", type };
}

/** Writes one row of a batch into a stored row. */
export function rowFiller(
  columns: readonly Column[],
  places: readonly number[],
  vectors: readonly EngineVector[],
  validity: readonly (Uint8Array | null)[],
): (index: number, into: Value[]) => void {
  const isBool = columns.map((column) => column.type.name === "bool");
  return (index, into) => {
    for (let c = 0; c < vectors.length; c++) {
      const present = validity[c]!;
      const value = present !== null && present[index] === 0 ? null : vectors[c]![index]!;
      into[places[c]!] = value !== null && isBool[c]! ? value !== 0 : value;
    }
  };
}
