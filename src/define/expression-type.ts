/**
 * The type an expression computes, or why it computes none.
 *
 * Literals fit where they stand: a whole number is an int64, a float64 or, against a timestamp,
 * microseconds; text is a string or, against a wide int64, its decimal digits.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { formatType, isNumeric, sameType, type Value, type ValueType } from "../schema/value.ts";
import { type Expression } from "./expression.ts";

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
      common([expression.left, expression.right], typeOf, expression.op);
      return BOOL;
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      need(common([expression.left, expression.right], typeOf, expression.op), isOrdered, "a number, a timestamp or a string", expression.op);
      return BOOL;
    case "in": {
      const literals = expression.values.map((value): Expression => ({ op: "literal", value }));
      common([expression.input, ...literals], typeOf, "in");
      return BOOL;
    }
    case "add":
    case "subtract":
    case "multiply":
    case "divide": {
      const sides = [typeOf(expression.left), typeOf(expression.right)];
      for (const side of sides) need(side, isNumeric, "a number", expression.op);
      const isInteger = sides.every((side) => side === null || side.name === "int64");
      return isInteger && expression.op !== "divide" ? INT64 : FLOAT64;
    }
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
  const rest = near.length > 0 ? `did you mean ${near.map((one) => `"${one}"`).join(" or ")}?` : `the columns are: ${names.join(", ")}`;
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
const isMeasured = (type: ValueType): boolean => type.name === "string" || type.name === "bytes" || type.name === "array";
const isOrdered = (type: ValueType): boolean => isNumeric(type) || type.name === "timestamp" || type.name === "string";

function literalType(value: Value): ValueType | null {
  if (value === null) return null;
  if (typeof value === "boolean") return BOOL;
  if (typeof value === "number") return Number.isSafeInteger(value) ? INT64 : FLOAT64;
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

/** The one type all parts can have; int64 and float64 meet in float64. */
function common(
  parts: readonly Expression[],
  typeOf: (part: Expression) => ValueType | null,
  op: string,
): ValueType | null {
  let result: ValueType | null = null;
  // Literals bend to what is not a literal, so those come last.
  const ordered = [...parts.filter((part) => part.op !== "literal"), ...parts.filter((part) => part.op === "literal")];
  for (const part of ordered) {
    const type = typeOf(part);
    if (type === null) continue;
    if (result === null || (isNumeric(result) && type.name === "float64")) result = type;
    else if (sameType(result, type) || (result.name === "float64" && isNumeric(type))) continue;
    else if (part.op === "literal" && literalFits(part.value, result)) continue;
    else throw new ExpressionProblem(`${op} cannot take ${formatType(result)} together with ${formatType(type)}`);
  }
  return result;
}

function literalFits(value: Value, type: ValueType): boolean {
  if (type.name === "timestamp") return Number.isSafeInteger(value);
  return type.name === "int64" && type.wide === true && typeof value === "string" && /^-?(?:0|[1-9]\d*)$/.test(value);
}
