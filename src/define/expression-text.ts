/** An expression as a person would say it: `delay > 15 and (origin = "JFK")`. */
import type { Expression } from "./expression.ts";

const SIGNS = {
  eq: "=",
  ne: "!=",
  gt: ">",
  gte: ">=",
  lt: "<",
  lte: "<=",
  and: "and",
  or: "or",
  add: "+",
  subtract: "-",
  multiply: "*",
  divide: "/",
} as const;

export function expressionText(expression: Expression): string {
  switch (expression.op) {
    case "column":
      return expression.name;
    case "literal":
      return JSON.stringify(expression.value);
    case "not":
      return `not ${operand(expression.input)}`;
    case "isNull":
      return `${operand(expression.input)} is null`;
    case "negate":
      return `-${operand(expression.input)}`;
    case "abs":
    case "lower":
    case "length":
    case "hour":
    case "dayOfWeek":
      return `${expression.op}(${expressionText(expression.input)})`;
    case "in":
      return `${operand(expression.input)} in (${expression.values.map((value) => JSON.stringify(value)).join(", ")})`;
    case "coalesce":
      return `coalesce(${expression.inputs.map(expressionText).join(", ")})`;
    case "when": {
      const { condition, then, otherwise } = expression;
      return `when(${[condition, then, otherwise].map(expressionText).join(", ")})`;
    }
    default:
      return `${operand(expression.left)} ${SIGNS[expression.op]} ${operand(expression.right)}`;
  }
}

/** In parentheses where it is itself made of parts, so that no order of operators need be known. */
function operand(expression: Expression): string {
  const text = expressionText(expression);
  return "left" in expression || expression.op === "in" || expression.op === "not" ? `(${text})` : text;
}
