/**
 * Lists and bytes as cells of a CSV file: JSON text and base64, as a request carries them, so that they can be read back to the bit.
 *
 * The engine's own text of a list has no quotes: `[a, b]` may be two elements or one. Of bytes it is `\x00`.
 */
import { valueToJson } from "../schema/check-value.ts";
import type { Value, ValueType } from "../schema/value.ts";

/** Whether a value stands in a CSV file as a text of ours: a list as JSON, bytes as base64. */
export function isCsvText({ name }: ValueType): boolean {
  return name === "array" || name === "bytes";
}

/** Of a type for which `isCsvText`; null for null. */
export function csvText(value: Value, type: ValueType): string | null {
  if (value === null) return null;
  const json = valueToJson(value, type);
  return type.name === "bytes" ? (json as string) : JSON.stringify(json);
}

/** The same of a column that the engine has: times as RFC 3339 text, bytes as base64, NaN and infinities as their names. */
export function listTextSql(cell: string, type: string): string {
  return `${listJsonSql(cell, type, 0)}::VARCHAR`;
}

/** Whether the engine's type is a list that JSON text can be made of. */
export function isListType(type: string): boolean {
  return type.endsWith("[]");
}

function listJsonSql(cell: string, type: string, depth: number): string {
  if (isListType(type)) {
    const element = `e${depth}`;
    return `to_json(list_transform(${cell}, ${element} -> ${listJsonSql(element, type.slice(0, -2), depth + 1)}))`;
  }
  switch (type) {
    case "TIMESTAMP WITH TIME ZONE":
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "TIMESTAMP_NS":
      return `to_json(strftime(${cell}::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ'))`;
    case "BLOB":
      return `to_json(base64(${cell}))`;
    case "FLOAT":
    case "DOUBLE": {
      const number = `${cell}::DOUBLE`;
      const sign = `CASE WHEN ${cell} > 0 THEN '' ELSE '-' END`;
      return `CASE WHEN isnan(${cell}) THEN to_json('NaN') WHEN isinf(${cell}) THEN to_json((${sign}) || 'Infinity') ELSE to_json(${number}) END`;
    }
    default:
      return `to_json(${cell})`;
  }
}
