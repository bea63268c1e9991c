/**
 * Expectations as plain data: what must hold of a source's events or a view's features, and what becomes of it where it
 * does not.
 */
import type { DurationMicros } from "../base/micros.ts";
import type { Value } from "../schema/value.ts";
import type { DefinedAt } from "./defined-at.ts";

/**
 * What an expectation says of a column's values. The first three are of a single value, and null meets them; the
 * others are of all values of a stretch of time.
 */
export type ExpectationRule =
  /** Bounds included; of a timestamp in microseconds. */
  | { readonly kind: "range"; readonly min?: number; readonly max?: number }
  | { readonly kind: "oneOf"; readonly values: readonly Value[] }
  /** Of RE2's syntax; a match anywhere in the text. */
  | { readonly kind: "pattern"; readonly pattern: string }
  /** Share of nulls. */
  | { readonly kind: "nullRate"; readonly max: number }
  | { readonly kind: "unique" }
  /** From one event to the next, in the order in which they came in; with `per`, of each of that column's values. */
  | { readonly kind: "monotone"; readonly direction: "increasing" | "decreasing"; readonly per?: string }
  /** Events known in a stretch of `perMicros`; of the source, not of a column. */
  | { readonly kind: "arrivalRate"; readonly min?: number; readonly max?: number; readonly perMicros: DurationMicros };

/** What becomes of it when it is not met: told, the event refused, or the push that brings it. */
export type ExpectationSeverity = "warn" | "quarantine" | "block";

export interface ExpectationDefinition {
  readonly name: string;
  /** A column of the source or a feature of the view; absent for `arrivalRate`. */
  readonly column?: string;
  readonly rule: ExpectationRule;
  readonly severity: ExpectationSeverity;
  /** The stretch of time that it is judged over. */
  readonly windowMicros: DurationMicros;
  /** The share of values that may not meet it before that is told; of one that warns. */
  readonly tolerate?: number;
  readonly definedAt?: DefinedAt;
}
