/**
 * The type an expression computes, or why it computes none: the rules of `src/fold/expression.ts`, which
 * computes its values, as far as they concern types. A test holds the two together.
 *
 * Literals fit where they stand: a whole number is an int64, a float64 or, against a timestamp,
 * microseconds; text is a string, an instant against a timestamp or decimal digits against a wide int64.
 */
import { parseMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { formatType, isNumeric, sameType, type Value, type ValueType } from "../schema/value.ts";
import type { Expression } from "./expression.ts";

export interface ExpressionColumn {
  readonly name: string;
  readonly type: ValueType;
}

/** Thrown with a sentence that says which part of the expression is wrong. */
export class ExpressionProblem extends Error {}

/**
 * The type of `expression` over `columns`, or null for one that is the literal null throughout.
 * Throws `ExpressionProblem`.
 */
export function expressionType(expression: Expression, columns: readonly ExpressionColumn[]): ValueType | null {
  const typeOf = (part: Expression): ValueType | null => expressionType(part, columns);
  switch (expression.op) {
    case "column": {
      const found = columns.find((column) => column.name === expression.name);
      if (found !== undefined) return found.type;
      throw new ExpressionProblem(unknownColumn(expression.name, columns));
    }
    case "literal":
      return literalType(expression.value);
    case "and":
    case "or":
      need(typeOf(expression.left), isBool, "a bool", expression.op);
      need(typeOf(expression.right), isBool, "a bool", expression.op);
      return BOOL;
    case "not":
      need(typeOf(expression.input), isBool, "a bool", expression.op);
      return BOOL;
    case "isNull":
      typeOf(expression.input);
      return BOOL;
    case "eq":
    case "ne":
      need(
        common([expression.left, expression.right], typeOf, expression.op),
        isComparable,
        "something comparable",
        expression.op,
      );
      return BOOL;
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      need(
        common([expression.left, expression.right], typeOf, expression.op),
        isOrdered,
        "something ordered",
        expression.op,
      );
      return BOOL;
    case "in": {
      const literals = expression.values.map((value): Expression => ({ op: "literal", value }));
      need(common([expression.input, ...literals], typeOf, "in"), isComparable, "something comparable", "in");
      return BOOL;
    }
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
      return arithmeticType(expression.op, typeOf(expression.left), typeOf(expression.right));
    case "abs":
    case "negate":
      return need(typeOf(expression.input), isNumeric, "a number", expression.op);
    case "lower":
      return need(typeOf(expression.input), isString, "a string", expression.op);
    case "length":
      need(typeOf(expression.input), isMeasured, "a string, bytes or an array", expression.op);
      return INT64;
    case "hour":
    case "dayOfWeek":
      need(typeOf(expression.input), isTimestamp, "a timestamp", expression.op);
      return INT64;
    case "coalesce":
      return common(expression.inputs, typeOf, "coalesce");
    case "when":
      need(typeOf(expression.condition), isBool, "a bool", "when");
      return common([expression.then, expression.otherwise], typeOf, "when");
  }
}

/** `there is no column "dely"; did you mean "delay"?`, or the columns there are. */
export function unknownColumn(name: string, columns: readonly ExpressionColumn[]): string {
  const names = columns.map((column) => column.name);
  const near = nearestNames(name, names);
  const rest =
    near.length > 0
      ? `did you mean ${near.map((one) => `"${one}"`).join(" or ")}?`
      : `the columns are: ${names.join(", ")}`;
  return `there is no column "${name}"; ${rest}`;
}

const BOOL: ValueType = { name: "bool" };
const INT64: ValueType = { name: "int64" };
const FLOAT64: ValueType = { name: "float64" };
const STRING: ValueType = { name: "string" };
const BYTES: ValueType = { name: "bytes" };

const isBool = (type: ValueType): boolean => type.name === "bool";
const isString = (type: ValueType): boolean => type.name === "string";
const isTimestamp = (type: ValueType): boolean => type.name === "timestamp";
const isMeasured = (type: ValueType): boolean =>
  type.name === "string" || type.name === "bytes" || type.name === "array";
const isComparable = (type: ValueType): boolean => type.name !== "array";
const isOrdered = (type: ValueType): boolean => isComparable(type) && type.name !== "bool";

function literalType(value: Value): ValueType | null {
  if (value === null) return null;
  if (typeof value === "boolean") return BOOL;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new ExpressionProblem(`${value} cannot be a literal`);
    return Number.isSafeInteger(value) ? INT64 : FLOAT64;
  }
  if (typeof value === "string") return STRING;
  if (value instanceof Uint8Array) return BYTES;
  throw new ExpressionProblem("an array cannot be a literal");
}

function need(
  type: ValueType | null,
  accepts: (type: ValueType) => boolean,
  what: string,
  op: string,
): ValueType | null {
  if (type === null || accepts(type)) return type;
  throw new ExpressionProblem(`${op} needs ${what}, not ${formatType(type)}`);
}

function arithmeticType(op: string, left: ValueType | null, right: ValueType | null): ValueType {
  const a = left ?? right ?? INT64;
  const b = right ?? a;
  if (isNumeric(a) && isNumeric(b)) {
    return op === "divide" || a.name === "float64" || b.name === "float64" ? FLOAT64 : INT64;
  }
  // Instants and spans of microseconds.
  const isSpan = (type: ValueType): boolean => type.name === "int64" && isNumeric(type);
  if (op === "subtract" && isTimestamp(a) && isTimestamp(b)) return INT64;
  if ((op === "add" || op === "subtract") && isTimestamp(a) && isSpan(b)) return a;
  if (op === "add" && isSpan(a) && isTimestamp(b)) return b;
  throw new ExpressionProblem(`${op} cannot take ${formatType(a)} and ${formatType(b)}`);
}

/** The one type all parts can have; int64 and float64 meet in float64. */
function common(
  parts: readonly Expression[],
  typeOf: (part: Expression) => ValueType | null,
  op: string,
): ValueType | null {
  const typed = parts.flatMap((part) => {
    const type = typeOf(part);
    return type === null ? [] : [{ part, type }];
  });
  const wanted =
    typed.find(({ type }) => type.name === "int64" && !isNumeric(type)) ??
    typed.find(({ type }) => type.name === "timestamp") ??
    typed.find(({ type }) => type.name === "float64") ??
    typed[0];
  if (wanted === undefined) return null;
  for (const { part, type } of typed) {
    if (fits(part, type, wanted.type)) continue;
    throw new ExpressionProblem(`${op} cannot take ${formatType(wanted.type)} together with ${formatType(type)}`);
  }
  return wanted.type;
}

function fits(part: Expression, type: ValueType, wanted: ValueType): boolean {
  if (sameType(type, wanted)) return true;
  if (wanted.name === "float64") return isNumeric(type);
  if (wanted.name === "int64" && wanted.wide === true) {
    if (type.name === "int64") return true;
    return part.op === "literal" && typeof part.value === "string" && /^-?(?:0|[1-9]\d*)$/.test(part.value);
  }
  if (wanted.name !== "timestamp" || part.op !== "literal") return false;
  if (typeof part.value !== "string") return Number.isSafeInteger(part.value);
  try {
    parseMicros(part.value);
    return true;
  } catch {
    return false;
  }
}
