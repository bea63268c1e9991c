/**
 * Lists as cells of a CSV file: JSON text, as a request carries them, so that they can be read back to the bit.
 *
 * The engine's own text of a list has no quotes: `[a, b]` may be two elements or one.
 */
import { valueToJson } from "../schema/check-value.ts";
import type { Value, ValueType } from "../schema/value.ts";

export function listText(value: Value, type: ValueType): string | null {
  return value === null ? null : JSON.stringify(valueToJson(value, type));
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
