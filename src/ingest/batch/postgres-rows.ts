/**
 * A query of PostgreSQL as lines of JSON that the door understands, made by the database itself: of the columns that the
 * source declares, under whatever name each has in the query, in the order of the watermark where there is one, which stands beside each line as text.
 */
import type { BatchSourceDefinition } from "../../define/definition.ts";
import { sqlName } from "../../offline-store/engine.ts";
import type { Column } from "../../schema/value.ts";
import { subquery } from "./query-text.ts";
import { declaredAmong } from "./stage-file.ts";

/** Its answer has no rows, and the columns that the query gives. */
export function postgresColumnsSql({ location }: BatchSourceDefinition): string {
  return `SELECT * FROM ${subquery(location)} q LIMIT 0`;
}

/** `there` are the columns that the query gives. Throws `FILE_COLUMN_MISSING`. */
export function postgresRowsSql(
  source: BatchSourceDefinition,
  there: readonly string[],
  watermark: { readonly value: string; readonly isNew: string } | undefined,
): string {
  const { location } = source;
  const members = declaredAmong(source, there, location).map(
    (column) => `'${column.name.replaceAll("'", "''")}', ${memberSql(column)}`,
  );
  // json_build_object takes a hundred arguments.
  const groups: string[] = [];
  for (let i = 0; i < members.length; i += 50)
    groups.push(`jsonb_build_object(${members.slice(i, i + 50).join(", ")})`);
  const mark = watermark === undefined ? "NULL::text" : `(${watermark.value})::text`;
  const rows = watermark === undefined ? "" : ` WHERE ${watermark.isNew} ORDER BY ${watermark.value}`;
  return `SELECT (${groups.join(" || ")})::text AS line, ${mark} AS mark FROM ${subquery(location)} q${rows}`;
}

/** Numbers that JSON readers would round are text, for the door to take or refuse; bytes are base64. */
function memberSql({ name, type }: Pick<Column, "name" | "type">): string {
  const value = `q.${sqlName(name)}`;
  if (type.name === "int64") {
    const isSafe = `${value} BETWEEN -9007199254740991 AND 9007199254740991`;
    return `CASE WHEN ${isSafe} THEN to_jsonb(${value}) ELSE to_jsonb(${value}::text) END`;
  }
  return type.name === "bytes" ? `encode(${value}, 'base64')` : value;
}
