/**
 * Predicates and derived columns as plain data, so that a definition has a fingerprint, a diff, and can
 * be pushed down or written by another language.
 *
 * Nulls follow SQL: a comparison or arithmetic with null is null; `and`/`or`/`not` are three-valued;
 * a predicate holds only where it is true. int64 arithmetic that leaves the safe range throws while
 * folding, which makes the event a dead letter (`EVENT_POISON`), identically in every mode.
 */
import type { Value } from "../schema/value.ts";

export type Expression =
  | { readonly op: "column"; readonly name: string }
  | { readonly op: "literal"; readonly value: Value }
  | {
      readonly op:
        | "eq"
        | "ne"
        | "gt"
        | "gte"
        | "lt"
        | "lte"
        | "and"
        | "or"
        | "add"
        | "subtract"
        | "multiply"
        | "divide";
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly op: "not" | "isNull" | "abs" | "negate" | "lower" | "length"; readonly input: Expression }
  | { readonly op: "in"; readonly input: Expression; readonly values: readonly Value[] }
  | { readonly op: "coalesce"; readonly inputs: readonly Expression[] }
  | { readonly op: "when"; readonly condition: Expression; readonly then: Expression; readonly otherwise: Expression }
  /** Calendar parts of a timestamp, in UTC: hour 0-23, dayOfWeek 1 (Monday) to 7. */
  | { readonly op: "hour" | "dayOfWeek"; readonly input: Expression };
