/** Definitions as a person reads them: `mean(delay) over 1h where delay > 15`. */
import { formatDuration } from "../base/micros.ts";
import type { Aggregation, Freshness } from "../define/definition.ts";
import type { Expression } from "../define/expression.ts";
import { formatWindow } from "../define/window.ts";

export function formatAggregation(aggregation: Aggregation): string {
  const fn = aggregation.custom?.name ?? aggregation.fn;
  const over = aggregation.over === undefined ? "" : ` over ${formatWindow(aggregation.over)}`;
  const where = aggregation.where === undefined ? "" : ` where ${formatExpression(aggregation.where)}`;
  const input = [...(aggregation.column === undefined ? [] : [aggregation.column]), ...formatParameters(aggregation)];
  return `${fn}(${input.join(", ")})${over}${where}`;
}

function formatParameters({ parameters }: Aggregation): string[] {
  const { k, q, halfLifeMicros, gapMicros, categories } = parameters ?? {};
  if (gapMicros !== undefined) return [`gap ${formatDuration(gapMicros)}`];
  if (halfLifeMicros !== undefined) return [`half-life ${formatDuration(halfLifeMicros)}`];
  if (categories !== undefined) return [`[${categories.map((one) => JSON.stringify(one)).join(", ")}]`];
  return [k, q].filter((one) => one !== undefined).map(String);
}

export function formatFreshness(freshness: Freshness): string {
  return typeof freshness === "number" ? formatDuration(freshness) : freshness;
}

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

export function formatExpression(expression: Expression): string {
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
      return `${expression.op}(${formatExpression(expression.input)})`;
    case "in":
      return `${operand(expression.input)} in (${expression.values.map((value) => JSON.stringify(value)).join(", ")})`;
    case "coalesce":
      return `coalesce(${expression.inputs.map(formatExpression).join(", ")})`;
    case "when": {
      const { condition, then, otherwise } = expression;
      return `when(${[condition, then, otherwise].map(formatExpression).join(", ")})`;
    }
    default:
      return `${operand(expression.left)} ${SIGNS[expression.op]} ${operand(expression.right)}`;
  }
}

/** In parentheses where it is itself made of parts, so that no order of operators need be known. */
function operand(expression: Expression): string {
  const text = formatExpression(expression);
  return "left" in expression || expression.op === "in" || expression.op === "not" ? `(${text})` : text;
}
