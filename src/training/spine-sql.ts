/**
 * Label columns of any engine type as SQL: times as microseconds, key parts as canonical text.
 *
 * Key text must equal `encodeEntityKey` to the letter. A value that cannot be read as what it should be
 * becomes null, never something near it: DuckDB's own casts would round '1.5' to 2 and drop a zone.
 */
import { OnefoldError } from "../base/errors.ts";
import { sqlName } from "../offline-store/engine.ts";
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
      // Casting to TIMESTAMP would ignore the text's zone.
      const parsed = `TRY_CAST(${name} AS TIMESTAMPTZ)`;
      return `CASE WHEN isfinite(${parsed}) THEN epoch_us(${parsed}) END`;
    }
    default:
      throw new OnefoldError("SPINE_INVALID", `column ${column} is ${type}, not a time`, {
        hint: "store it as a timestamp, a date or ISO 8601 text: a bare number does not say its unit",
      });
  }
}

/** Canonical text of one key part, null where it is null or not of the key's type. Throws `SPINE_INVALID`. */
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
  throw new OnefoldError("SPINE_INVALID", `column ${column} is ${type}; the key of ${of} is ${formatType(wanted)}`);
}
