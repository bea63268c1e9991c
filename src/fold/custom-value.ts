/**
 * What a user's function may return (`read` of a custom aggregation, an on-demand view): a value of its declared
 * type, and nothing else.
 */
import type { Value, ValueType } from "../schema/value.ts";
import { leaveUnheard } from "./unheard.ts";

/** The value with -0 as 0, or undefined where it is not of the type. null is of every type. */
export function conformingValue(value: unknown, type: ValueType, allowNonFinite: boolean): Value | undefined {
  if (value === null) return null;
  leaveUnheard(value);
  switch (type.name) {
    case "int64":
      if (type.wide === true) return isDecimal(value) ? value : undefined;
      return Number.isSafeInteger(value) ? (value as number) + 0 : undefined;
    case "timestamp":
      return Number.isSafeInteger(value) ? (value as number) + 0 : undefined;
    case "float64":
      return typeof value === "number" && (allowNonFinite || Number.isFinite(value)) ? value + 0 : undefined;
    case "string":
      // A lone surrogate has no UTF-8 form: it would be another string once stored or sent.
      return typeof value === "string" && (value as WellFormed).isWellFormed() ? value : undefined;
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "bytes":
      return value instanceof Uint8Array ? value : undefined;
    case "array": {
      if (!Array.isArray(value)) return undefined;
      const elements = value.map((element) => conformingValue(element, type.element, allowNonFinite));
      return elements.includes(undefined) ? undefined : (elements as Value[]);
    }
  }
}

/** ES2024, in Node since 20. */
type WellFormed = string & { isWellFormed(): boolean };

function isDecimal(value: unknown): value is string {
  if (typeof value !== "string" || !/^(0|-?[1-9]\d{0,18})$/.test(value)) return false;
  return BigInt.asIntN(64, BigInt(value)) === BigInt(value);
}
