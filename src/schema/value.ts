/**
 * The seven value types and how each is held in memory.
 *
 * | type      | in memory                         | in JSON at the doors                  | in Parquet        |
 * |-----------|-----------------------------------|---------------------------------------|-------------------|
 * | int64     | number, a safe integer            | number, or decimal text               | BIGINT            |
 * | int64 wide| decimal text of any 64-bit value  | decimal text, or a safe number        | BIGINT            |
 * | float64   | number                            | number                                | DOUBLE            |
 * | string    | string                            | string                                | VARCHAR           |
 * | bytes     | Uint8Array                        | base64 text                           | BLOB              |
 * | bool      | boolean                           | boolean                               | BOOLEAN           |
 * | timestamp | number, integer microseconds UTC  | ISO 8601 text, {"micros":n} or {"millis":n} | TIMESTAMPTZ (us) |
 * | array     | array of the element's values     | array                                 | LIST              |
 */
export type ScalarTypeName = "int64" | "float64" | "string" | "bytes" | "bool" | "timestamp";

export type ValueType =
  | { readonly name: "int64"; readonly wide?: boolean }
  | { readonly name: Exclude<ScalarTypeName, "int64"> }
  | { readonly name: "array"; readonly element: ValueType };

/** One value of any type; null stands for absence in every type. */
export type Value = number | string | boolean | Uint8Array | null | readonly Value[];

/** The values of one event or row in the order of its schema's columns (stored ones, then derived). */
export type Row = readonly Value[];

export interface Column {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  readonly description?: string;
}

/** `int64`, `array<float64>`, ...: for messages, diffs and documents. */
export function formatType(type: ValueType): string {
  return type.name === "array" ? `array<${formatType(type.element)}>` : type.name;
}

export function isNumeric(type: ValueType): boolean {
  return type.name === "float64" || (type.name === "int64" && type.wide !== true);
}

export function sameType(a: ValueType, b: ValueType): boolean {
  if (a.name === "array") return b.name === "array" && sameType(a.element, b.element);
  if (a.name === "int64") return b.name === "int64" && (a.wide ?? false) === (b.wide ?? false);
  return a.name === b.name;
}
