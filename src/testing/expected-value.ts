/**
 * Values as a test expects them, held against those the fold gave.
 */
import { isDeepStrictEqual } from "node:util";
import type { Micros } from "../base/micros.ts";
import { isNumeric, type Value, type ValueType } from "../schema/value.ts";
import type { TimeInput } from "./given-row.ts";
import { timeOf } from "./simulated-view.ts";

/** How a test may write a value: as it is, but times as readably as rows have them. */
export type ExpectedValue<V> = V extends Micros
  ? V | TimeInput
  : V extends readonly (infer E)[]
    ? readonly ExpectedValue<E>[]
    : V;

/** How far a number may be off: by `within`, or by `relative` of the expected one, whichever is more. */
export interface Tolerance {
  readonly within?: number;
  readonly relative?: number;
}

/** Times become microseconds and -0 becomes 0, as everywhere; all else stays what it is. Throws `TIME_INVALID`. */
export function expectedValue(expected: unknown, type: ValueType): unknown {
  if (Array.isArray(expected) && type.name === "array") {
    return expected.map((element) => expectedValue(element, type.element));
  }
  if (typeof expected === "number") return expected + 0;
  const isTime = typeof expected === "string" || (typeof expected === "object" && expected !== null);
  return type.name === "timestamp" && isTime ? timeOf(expected as TimeInput) : expected;
}

/** To the bit; NaN equals NaN. */
export function isEqual(expected: unknown, actual: Value): boolean {
  return isDeepStrictEqual(expected, actual);
}

/** Numbers within the tolerance, lists element by element, everything else, times too, to the bit. */
export function isClose(expected: unknown, actual: Value, type: ValueType, tolerance: Tolerance): boolean {
  if (type.name === "array" && Array.isArray(expected) && Array.isArray(actual)) {
    const { element } = type;
    const areClose = (one: unknown, i: number): boolean => isClose(one, actual[i] as Value, element, tolerance);
    return expected.length === actual.length && expected.every(areClose);
  }
  if (!isNumeric(type) || typeof expected !== "number" || typeof actual !== "number") return isEqual(expected, actual);
  const { within = 0, relative = 0 } = tolerance;
  return Object.is(expected, actual) || Math.abs(expected - actual) <= Math.max(within, relative * Math.abs(expected));
}
