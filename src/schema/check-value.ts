/**
 * The one door for values: JSON data or JavaScript values in, the platform's `Value` out, by the table
 * in `value.ts`; and the way back, for answers.
 *
 * Every column of every row passes here, so the plain cases come first and allocate nothing.
 */
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import { formatMicros, micros, type Micros, microsFromMillis, parseMicros } from "../base/micros.ts";
import { formatType, type Value, type ValueType } from "./value.ts";

export interface CheckOptions {
  /** Lets NaN and infinities into float64; otherwise they are `NUMBER_NOT_FINITE`. */
  readonly allowNonFinite: boolean;
  /** What errors say the value belongs to, usually its column's name. */
  readonly where?: string;
  /** What to do about NaN and infinities that are not let in. */
  readonly finiteHint?: string;
}

const STRICT: CheckOptions = { allowNonFinite: false };

/**
 * Turns `value` into the platform's value of `type`. null and undefined become null in every type:
 * whether a column may be null is the caller's to check. -0 becomes 0, and NaN one bit pattern.
 * What is returned shares no memory with what was passed in.
 *
 * Throws `TYPE_MISMATCH`, `INT64_UNSAFE`, `NUMBER_NOT_FINITE`, `TIME_INVALID`.
 */
export function checkValue(value: unknown, type: ValueType, options: CheckOptions = STRICT): Value {
  if (value === null || value === undefined) return null;
  switch (type.name) {
    case "int64":
      if (type.wide === true) return checkWideInt64(value, options);
      // Adding 0 turns -0 into 0 and leaves every other number as it is.
      return Number.isSafeInteger(value) ? (value as number) + 0 : checkInt64(value, options);
    case "float64":
      return typeof value === "number" && Number.isFinite(value) ? value + 0 : checkFloat64(value, options);
    case "string":
      return checkString(value, type, options);
    case "bool":
      if (typeof value === "boolean") return value;
      throw mismatch(value, type, options);
    case "timestamp":
      return checkTimestamp(value, options);
    case "bytes":
      return checkBytes(value, type, options);
    case "array": {
      if (!Array.isArray(value)) throw mismatch(value, type, options);
      const elements = Array.from<Value>({ length: value.length });
      for (let i = 0; i < value.length; i++) elements[i] = checkValue(value[i], type.element, options);
      return elements;
    }
  }
}

const INTEGER_TEXT = /^-?(?:0|[1-9]\d*)$/;
/** Longer texts of digits do not fit 64 bits: making a number of millions of them takes seconds. */
const INT64_TEXT_LENGTH_MAX = "-9223372036854775808".length;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UNSAFE_HINT =
  "int64 is exact only within -(2^53-1)..2^53-1; declare the column t.int64({ wide: true }) and send it as decimal text";

function checkInt64(value: unknown, options: CheckOptions): number {
  const isWholeText = typeof value === "string" && INTEGER_TEXT.test(value);
  if (isWholeText || typeof value === "bigint") {
    const result = isWholeText && (value as string).length > INT64_TEXT_LENGTH_MAX ? Number.NaN : Number(value);
    if (Number.isSafeInteger(result)) return result + 0;
    throw failure(
      "INT64_UNSAFE",
      `${shortened(String(value))} is outside the safe range of int64`,
      options,
      UNSAFE_HINT,
    );
  }
  if (typeof value !== "number") throw mismatch(value, { name: "int64" }, options);
  if (!Number.isFinite(value)) throw notFinite(value, "int64 holds whole numbers only", options);
  if (!Number.isInteger(value)) throw mismatch(value, { name: "int64" }, options);
  throw failure("INT64_UNSAFE", `${value} is outside the safe range of int64`, options, UNSAFE_HINT);
}

function checkWideInt64(value: unknown, options: CheckOptions): string {
  const type: ValueType = { name: "int64", wide: true };
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return String(value + 0);
    if (!Number.isFinite(value)) throw notFinite(value, "int64 holds whole numbers only", options);
    if (!Number.isInteger(value)) throw mismatch(value, type, options);
    throw failure("INT64_UNSAFE", `${value} has already lost digits as a number`, options, "send it as decimal text");
  }
  if (typeof value !== "bigint" && (typeof value !== "string" || !INTEGER_TEXT.test(value))) {
    throw mismatch(value, type, options);
  }
  if (typeof value === "bigint" || value.length <= INT64_TEXT_LENGTH_MAX) {
    const wide = BigInt(value);
    if (wide >= INT64_MIN && wide <= INT64_MAX) return wide.toString();
  }
  throw failure("INT64_UNSAFE", `${shown(value)} does not fit 64 bits`, options, "use a string column for it");
}

function checkFloat64(value: unknown, options: CheckOptions): number {
  const type: ValueType = { name: "float64" };
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  // JSON has no way to write these three, so their names stand for them.
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") value = Number(value);
  if (typeof value !== "number") throw mismatch(value, type, options);
  if (!options.allowNonFinite) {
    throw notFinite(value, options.finiteHint ?? "send a finite number", options);
  }
  return Number.isNaN(value) ? Number.NaN : value;
}

function checkString(value: unknown, type: ValueType, options: CheckOptions): string {
  if (typeof value !== "string") throw mismatch(value, type, options);
  // A lone surrogate has no UTF-8 form: it would be another string once stored.
  if (!(value as string & { isWellFormed(): boolean }).isWellFormed()) {
    throw failure("TYPE_MISMATCH", "text with half of a surrogate pair is not valid Unicode", options);
  }
  return value;
}

function checkTimestamp(value: unknown, options: CheckOptions): Micros {
  try {
    if (typeof value === "string") return parseMicros(value);
    if (value instanceof Date) return microsFromMillis(value.getTime());
    if (typeof value === "object" && value !== null) {
      const { micros: inMicros, millis: inMillis } = value as { micros?: unknown; millis?: unknown };
      if (typeof inMicros === "number" && inMillis === undefined) return micros(inMicros + 0);
      if (typeof inMillis === "number" && inMicros === undefined) return microsFromMillis(inMillis);
    }
  } catch (error) {
    if (options.where === undefined || !(error instanceof OnefoldError)) throw error;
    throw failure(error.code, error.message, options, error.hint);
  }
  const hint = 'write ISO 8601 text such as 2026-01-31T12:00:00Z, or say the unit: {"millis": n} or {"micros": n}';
  const bareNumber = typeof value === "number" || typeof value === "bigint";
  throw bareNumber
    ? failure("TIME_INVALID", `the bare number ${value} does not say its unit`, options, hint)
    : failure("TYPE_MISMATCH", `${shown(value)} is not a timestamp`, options, hint);
}

const BASE64_TEXT = /^[A-Za-z0-9+/]*={0,2}$/;
const BASE64URL_TEXT = /^[A-Za-z0-9_-]*={0,2}$/;

function checkBytes(value: unknown, type: ValueType, options: CheckOptions): Uint8Array {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (typeof value !== "string") throw mismatch(value, type, options);
  const digits = value.endsWith("==") ? value.length - 2 : value.endsWith("=") ? value.length - 1 : value.length;
  const padded = digits === value.length || value.length % 4 === 0;
  if (!padded || digits % 4 === 1 || !(BASE64_TEXT.test(value) || BASE64URL_TEXT.test(value))) {
    throw failure("TYPE_MISMATCH", `${shown(value)} is not base64 text`, options, "bytes are sent as base64 text");
  }
  return new Uint8Array(Buffer.from(value, "base64"));
}

/**
 * The JSON form of a value, as answers carry it: timestamps as RFC 3339 text, bytes as base64, int64 as
 * numbers (wide ones as decimal text), NaN and infinities as their names, null as null.
 */
export function valueToJson(value: Value, type: ValueType): unknown {
  if (value === null) return null;
  switch (type.name) {
    case "float64":
      return Number.isFinite(value) ? value : String(value);
    case "timestamp":
      return formatMicros(value as Micros);
    case "bytes":
      return Buffer.from(value as Uint8Array).toString("base64");
    case "array":
      return (value as readonly Value[]).map((element) => valueToJson(element, type.element));
    default:
      return value;
  }
}

function mismatch(value: unknown, type: ValueType, options: CheckOptions): OnefoldError {
  return failure("TYPE_MISMATCH", `${shown(value)} is not of type ${formatType(type)}`, options);
}

function notFinite(value: number, hint: string, options: CheckOptions): OnefoldError {
  return failure("NUMBER_NOT_FINITE", `${value} is not a finite number`, options, hint);
}

function failure(code: ErrorCode, what: string, options: CheckOptions, hint?: string): OnefoldError {
  return new OnefoldError(code, options.where === undefined ? what : `${options.where}: ${what}`, {
    ...(options.where === undefined ? {} : { where: options.where }),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The value as a message shows it: its kind, and enough of it to recognise it by. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(shortened(value));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return "a Date";
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
