/**
 * Label columns of any engine type as SQL: times as microseconds, key parts as canonical text.
 *
 * Key text must equal `encodeEntityKey` to the letter. A value that cannot be read as what it should be
 * becomes null, never something near it: DuckDB's own casts would round '1.5' to 2 and drop a zone.
 */
import { OnefoldError } from "../base/errors.ts";
import { sqlName, sqlType } from "../offline-store/engine.ts";
import { formatType, type ValueType } from "../schema/value.ts";

const INTEGER_TYPES = new Set([
  "TINYINT",
  "SMALLINT",
  "INTEGER",
  "BIGINT",
  "HUGEINT",
  "UTINYINT",
  "USMALLINT",
  "UINTEGER",
  "UBIGINT",
  "UHUGEINT",
]);

/** Those whose values may lie outside what a wide int64 holds. */
const WIDER_THAN_64_BITS = new Set(["HUGEINT", "UBIGINT", "UHUGEINT"]);

/**
 * Whole microseconds since the epoch, null where the column holds none. A time without a zone is UTC;
 * nanoseconds are cut off downwards. Throws `SPINE_INVALID` for a type that is no time.
 */
export function microsSql(column: string, type: string): string {
  const name = sqlName(column);
  switch (type) {
    case "TIMESTAMP_NS":
      return `CASE WHEN isfinite(${name}::TIMESTAMP) THEN (epoch_ns(${name}) - ((epoch_ns(${name}) % 1000) + 1000) % 1000) // 1000 END`;
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "DATE":
      return `CASE WHEN isfinite(${name}::TIMESTAMP) THEN epoch_us(${name}::TIMESTAMP) END`;
    case "TIMESTAMP WITH TIME ZONE":
      return `CASE WHEN isfinite(${name}) THEN epoch_us(${name}) END`;
    case "VARCHAR": {
      // Casting to TIMESTAMP would ignore the text's zone. The engine takes a year of any length: 01/02/26 for one of the year 1.
      const parsed = `TRY_CAST(${name} AS TIMESTAMPTZ)`;
      return `CASE WHEN regexp_matches(${name}, '^\\s*[0-9]{4}[-/]') AND isfinite(${parsed}) THEN epoch_us(${parsed}) END`;
    }
    default:
      throw new OnefoldError("SPINE_INVALID", `column ${column} is ${type}, not a time`, {
        hint: "store it as a timestamp, a date or ISO 8601 text: a bare number does not say its unit",
      });
  }
}

/** Canonical text of one key part, null where it is null or not of the key's type. Throws `SPINE_INVALID` naming `of`. */
export function keyTextSql(column: string, type: string, wanted: ValueType, of: string): string {
  const name = sqlName(column);
  const whole = type.startsWith("DECIMAL") ? "DECIMAL" : type.startsWith("ENUM") ? "VARCHAR" : type;
  const text = type.startsWith("ENUM") ? `${name}::VARCHAR` : name;
  switch (wanted.name) {
    case "string":
      if (whole === "VARCHAR") return text;
      if (INTEGER_TYPES.has(whole) || whole === "UUID" || whole === "BOOLEAN") return `${name}::VARCHAR`;
      break;
    case "int64":
      if (INTEGER_TYPES.has(whole)) return `TRY_CAST(${name} AS BIGINT)::VARCHAR`;
      if (whole === "VARCHAR")
        return `CASE WHEN regexp_full_match(${text}, '-?[0-9]+') THEN TRY_CAST(${text} AS BIGINT)::VARCHAR END`;
      // What data frames make of an integer column with gaps.
      if (whole === "DOUBLE" || whole === "FLOAT" || whole === "DECIMAL") {
        return `CASE WHEN ${name} = trunc(${name}) AND abs(${name}) < 9007199254740992 THEN TRY_CAST(${name} AS BIGINT)::VARCHAR END`;
      }
      break;
    case "bool":
      if (whole === "BOOLEAN") return `${name}::VARCHAR`;
      if (whole === "VARCHAR") return `CASE WHEN lower(${text}) IN ('true', 'false') THEN lower(${text}) END`;
      break;
    case "timestamp":
      return `(${microsSql(column, type)})::VARCHAR`;
    case "bytes":
      if (whole === "BLOB") return `lower(hex(${name}))`;
      if (whole === "VARCHAR") return `lower(hex(TRY(from_base64(${text}))))`;
      break;
    case "float64":
    case "array":
      break;
  }
  throw notOfType(column, type, wanted, of);
}

/**
 * A label column as values of a type that is no key: int64, timestamps and bools as numbers, others as the
 * engine holds them; null where it is null or not of the type. Throws `SPINE_INVALID` naming `of`.
 */
export function valueSql(column: string, type: string, wanted: ValueType, of: string): string {
  const name = sqlName(column);
  switch (wanted.name) {
    case "float64": {
      const isNumeric = INTEGER_TYPES.has(type) || type === "DOUBLE" || type === "FLOAT" || type.startsWith("DECIMAL");
      if (!isNumeric && type !== "VARCHAR") break;
      const number = `TRY_CAST(${name} AS DOUBLE)`;
      // Adding 0 turns -0 into 0, as the door does.
      return `CASE WHEN isfinite(${number}) THEN ${number} + 0.0::DOUBLE END`;
    }
    case "int64": {
      const text = keyTextSql(column, type, wanted, of);
      if (wanted.wide === true) return text;
      const number = `TRY_CAST(${text} AS BIGINT)`;
      return `CASE WHEN ${number} BETWEEN -9007199254740991 AND 9007199254740991 THEN ${number} END`;
    }
    case "bool":
      return `(${keyTextSql(column, type, wanted, of)} = 'true')::INTEGER`;
    case "timestamp":
      return microsSql(column, type);
    case "string":
      return keyTextSql(column, type, wanted, of);
    case "bytes":
      if (type === "BLOB") return name;
      if (type === "VARCHAR") return `TRY(from_base64(${name}))`;
      break;
    case "array":
      if (type.endsWith("[]")) return `TRY_CAST(${name} AS ${sqlType(wanted)})`;
      break;
  }
  throw notOfType(column, type, wanted, of);
}

/**
 * A label column as JSON text, for the door to judge; null where the engine's type says better what its values are.
 * JSON is what the engine makes of values of several kinds, and the only text that a list has.
 */
export function jsonTextSql(column: string, type: string, wanted: ValueType): string | null {
  const name = sqlName(column);
  if (type === "JSON" || (type === "VARCHAR" && wanted.name === "array")) return `${name}::VARCHAR`;
  if (type.startsWith("JSON[")) return `to_json(${name})::VARCHAR`;
  if (wanted.name !== "array" || !type.endsWith("[]")) return null;
  const [base] = type.split("[", 1) as [string];
  if (castsExactly(base, innermost(wanted))) return null;
  // Whole numbers too long for a JSON number are text for the door.
  const isText = INTEGER_TYPES.has(base) && innermost(wanted).name === "int64";
  return `to_json(${isText ? `${name}::VARCHAR${type.slice(base.length)}` : name})::VARCHAR`;
}

/**
 * Whether the engine's cast leaves each element of a list what it is. Other casts round (1.5 to 2), or make single
 * elements null, so those lists are the door's to judge.
 */
function castsExactly(base: string, wanted: ValueType): boolean {
  const isFraction = base === "DOUBLE" || base === "FLOAT" || base.startsWith("DECIMAL");
  switch (wanted.name) {
    case "int64":
      return INTEGER_TYPES.has(base) && !WIDER_THAN_64_BITS.has(base);
    case "float64":
      return isFraction || INTEGER_TYPES.has(base);
    case "bool":
      return base === "BOOLEAN";
    case "string":
      return !isFraction;
    case "timestamp":
      return base.startsWith("TIMESTAMP") || base === "DATE";
    case "bytes":
      return base === "BLOB";
    case "array":
      return false;
  }
}

function innermost(type: ValueType): ValueType {
  return type.name === "array" ? innermost(type.element) : type;
}

function notOfType(column: string, type: string, wanted: ValueType, of: string): OnefoldError {
  return new OnefoldError("SPINE_INVALID", `column ${column} is ${type}; ${of} is ${formatType(wanted)}`);
}
