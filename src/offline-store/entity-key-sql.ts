/**
 * Canonical entity keys as SQL: the same text, character for character, as `encodeEntityKey` makes.
 */
import { OnefoldError } from "../base/errors.ts";
import { KEY_BYTES_MAX } from "../schema/entity-key.ts";
import { formatType, type ValueType } from "../schema/value.ts";
import { sqlName } from "./engine.ts";

/** One key part: a column as it stands in a table or file of the platform's own types. */
export interface KeyColumn {
  readonly name: string;
  readonly type: ValueType;
}

/**
 * An SQL expression for the key text; null where a part is null.
 * Throws `DEFINITION_INVALID` for a type that cannot be part of a key.
 */
export function entityKeySql(columns: readonly KeyColumn[]): string {
  const parts = columns.map((column) => partSql(column));
  if (parts.length === 1) return parts[0]!;
  return `(${parts.map((part) => `replace(replace(${part}, '\\', '\\\\'), '|', '\\|')`).join(" || '|' || ")})`;
}

/** A predicate that holds for keys that `encodeEntityKey` makes rather than refuses. */
export function keyIsUsableSql(keySql: string): string {
  return `(${keySql} IS NOT NULL AND strlen(${keySql}) <= ${KEY_BYTES_MAX})`;
}

function partSql({ name, type }: KeyColumn): string {
  const column = sqlName(name);
  switch (type.name) {
    case "string":
      return column;
    case "int64":
    case "bool":
      return `CAST(${column} AS VARCHAR)`;
    case "timestamp":
      return `CAST(epoch_us(${column}) AS VARCHAR)`;
    case "bytes":
      return `lower(hex(${column}))`;
    default:
      throw new OnefoldError("DEFINITION_INVALID", `a column of ${formatType(type)} cannot be part of an entity key`, {
        where: name,
        hint: "use int64, string, bool, timestamp or bytes",
      });
  }
}
