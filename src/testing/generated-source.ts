/** The entity and the source that random views and events are of: a column of every type. */
import { MICROS_PER_DAY, MICROS_PER_SECOND } from "../base/micros.ts";
import type { EntityDefinition, StreamDefinition } from "../define/definition.ts";
import type { Expression } from "../define/expression.ts";
import type { Value, ValueType } from "../schema/value.ts";

/** An expression as definitions hold it. */
export function col(name: string): Expression {
  return { op: "column", name };
}

export function lit(value: Value): Expression {
  return { op: "literal", value };
}

export function type(name: Exclude<ValueType["name"], "array">): ValueType {
  return { name };
}

export const generatedEntity: EntityDefinition = {
  kind: "entity",
  name: "account",
  keys: [{ name: "account", type: type("string") }],
};

/** A stream with a column of every type. `boost` leaves the safe range for a few amounts: an overflow while folding. */
export const generatedSource: StreamDefinition = {
  kind: "stream",
  name: "payments",
  columns: [
    { name: "account", type: type("string"), nullable: false },
    { name: "at", type: type("timestamp"), nullable: false },
    { name: "amount", type: type("float64"), nullable: true },
    { name: "items", type: type("int64"), nullable: true },
    { name: "shop", type: type("string"), nullable: true },
    { name: "abroad", type: type("bool"), nullable: true },
    { name: "card", type: type("bytes"), nullable: true },
    { name: "serial", type: { name: "int64", wide: true }, nullable: true },
    { name: "tags", type: { name: "array", element: type("string") }, nullable: true },
    { name: "due", type: type("timestamp"), nullable: true },
  ],
  derived: [
    { name: "bulk", type: type("bool"), expression: { op: "gt", left: col("items"), right: lit(3) } },
    { name: "share", type: type("float64"), expression: { op: "divide", left: col("amount"), right: col("items") } },
  ],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60 * MICROS_PER_SECOND,
  dedupeWithinMicros: 7 * MICROS_PER_DAY,
  availableAfterMicros: 0,
};
