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
  /** Under which it is stored and referred to, for ever. */
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  readonly description?: string;
  /** Of a source: what it is called now, where it was renamed; its `name` where it was given that again. */
  readonly as?: string;
  /** Of a source: what it was called between `name` and `as`, oldest first. */
  readonly was?: readonly string[];
  /** Of a source: the type that it was first registered with, where it was widened. */
  readonly from?: ValueType;
  /** Of a source: nobody reads it any more, and what is sent for it is not looked at. */
  readonly dropped?: true;
}

/** What a column is called now. */
export function labelOf({ name, as }: Pick<Column, "name" | "as">): string {
  return as ?? name;
}

/** All names by which it may be sent, the present one first. */
export function namesOf({ name, as, was = [] }: Pick<Column, "name" | "as" | "was">): readonly string[] {
  const others = was.toReversed();
  if (as === undefined) return [name];
  return as === name ? [name, ...others] : [as, ...others, name];
}

/**
 * Whether every value of `from` is one of `to`, exactly. An int64 is within the safe range, where every whole number is a
 * float64, and its decimal text one of a wide int64.
 */
export function widens(from: ValueType, to: ValueType): boolean {
  if (sameType(from, to)) return true;
  if (from.name === "array") return to.name === "array" && widens(from.element, to.element);
  return from.name === "int64" && from.wide !== true && (to.name === "float64" || to.name === "int64");
}

/** A value of a type that `to` widens, as one of `to`. */
export function widened(value: Value, from: ValueType, to: ValueType): Value {
  if (value === null) return null;
  if (from.name === "array" && to.name === "array") {
    return (value as readonly Value[]).map((element) => widened(element, from.element, to.element));
  }
  return to.name === "int64" && to.wide === true && typeof value === "number" ? String(value) : value;
}

/** `int64`, `array<float64>`, ...: for messages, diffs and documents. */
export function formatType(type: ValueType): string {
  return type.name === "array" ? `array<${formatType(type.element)}>` : type.name;
}

/**
 * A type as descriptions have it: `wide` where its int64s are of any 64-bit value, which are text in JSON, and absent elsewhere.
 * Spread beside a name.
 */
export function describeType(type: ValueType): { readonly type: string; readonly wide?: true } {
  return { type: formatType(type), ...(isWide(type) ? { wide: true } : {}) };
}

function isWide(type: ValueType): boolean {
  return type.name === "array" ? isWide(type.element) : type.name === "int64" && type.wide === true;
}

export function isNumeric(type: ValueType): boolean {
  return type.name === "float64" || (type.name === "int64" && type.wide !== true);
}

/** Whether its values are doubles to an engine: numbers, times, and bools as 0 and 1. */
export function fitsDouble(type: ValueType): boolean {
  return isNumeric(type) || type.name === "timestamp" || type.name === "bool";
}

export function sameType(a: ValueType, b: ValueType): boolean {
  if (a.name === "array") return b.name === "array" && sameType(a.element, b.element);
  if (a.name === "int64") return b.name === "int64" && (a.wide ?? false) === (b.wide ?? false);
  return a.name === b.name;
}
