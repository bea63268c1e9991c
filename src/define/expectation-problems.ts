/**
 * What contradicts its columns in an expectation, and what an expectation of single values asks as a predicate, whether
 * the DSL wrote it or another language did.
 */
import { isNumeric, type ValueType } from "../schema/value.ts";
import { patternProblem } from "../schema/pattern.ts";
import type { ExpectationDefinition, ExpectationRule } from "./expectation-definition.ts";
import { isOfOneValue } from "./expectation.ts";
import { type ExpressionColumn, ExpressionProblem, expressionType, unknownColumn } from "./expression-type.ts";
import type { Expression } from "./expression.ts";
import { nameProblems } from "./names.ts";

/** `of`: where columns have an order of arrival, and rows can be refused. */
export function expectationProblems(
  expectations: readonly ExpectationDefinition[] | undefined,
  columns: readonly ExpressionColumn[],
  of: "source" | "view",
  derived: readonly string[] = [],
): string[] {
  const names = (expectations ?? []).map(({ name }) => name);
  const twice = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  return [
    ...twice.map((name) => `there are two expectations "${name}"`),
    ...(expectations ?? []).flatMap((one) =>
      [...problemsOfOne(one, columns, of), ...storedProblems(one, derived)].map(
        (problem) => `expectation "${one.name}": ${problem}`,
      ),
    ),
  ];
}

function problemsOfOne(
  { name, column, rule, severity }: ExpectationDefinition,
  columns: readonly ExpressionColumn[],
  of: "source" | "view",
): string[] {
  const problems = nameProblems("its name", name);
  if (of === "view" && severity !== "warn")
    problems.push(`a feature is judged once its events are folded, so it can only warn, not ${severity}`);
  if (of === "view" && ["unique", "monotone", "arrivalRate"].includes(rule.kind))
    problems.push(`${rule.kind} is of a source's events, not of features`);
  if (severity !== "warn" && !isOfOneValue(rule)) problems.push(`${rule.kind} is of many values, so it can only warn`);
  if (rule.kind === "arrivalRate") return problems;
  const found = columns.find((one) => one.name === column);
  if (found === undefined) return [...problems, unknownColumn(column ?? "", columns)];
  return [...problems, ...typeProblems(rule, found, columns)];
}

/** Order and repetition are looked for among stored values. */
function storedProblems({ column, rule }: ExpectationDefinition, derived: readonly string[]): string[] {
  if (rule.kind !== "unique" && rule.kind !== "monotone") return [];
  const named = [column, ...(rule.kind === "monotone" ? [rule.per] : [])];
  return named.flatMap((name) =>
    name !== undefined && derived.includes(name) ? [`${rule.kind} is of stored columns, "${name}" is derived`] : [],
  );
}

function typeProblems(
  rule: ExpectationRule,
  { name, type }: ExpressionColumn,
  columns: readonly ExpressionColumn[],
): string[] {
  switch (rule.kind) {
    case "range":
    case "oneOf":
      return predicateProblem(predicateOf(name, rule)!, columns);
    case "pattern": {
      const problem = patternProblem(rule.pattern);
      if (problem !== undefined) return [`pattern: ${problem}`];
      return isText(type) ? [] : [`pattern is for texts, column "${name}" is none`];
    }
    case "monotone": {
      const isKnown = rule.per === undefined || columns.some((one) => one.name === rule.per);
      return [
        ...(isNumeric(type) || type.name === "timestamp"
          ? []
          : [`monotone is for numbers and times, column "${name}" is neither`]),
        ...(isKnown ? [] : [`per: ${unknownColumn(rule.per!, columns)}`]),
      ];
    }
    case "unique":
      return type.name === "array" ? [`unique is not for lists, column "${name}" is one`] : [];
    default:
      return [];
  }
}

function predicateProblem(predicate: Expression, columns: readonly ExpressionColumn[]): string[] {
  try {
    expressionType(predicate, columns);
    return [];
  } catch (error) {
    if (error instanceof ExpressionProblem) return [error.message];
    throw error;
  }
}

function isText(type: ValueType): boolean {
  return type.name === "string" || (type.name === "int64" && type.wide === true);
}

/** What a value that meets the rule satisfies (null where it is null); null for a rule that no expression says. */
export function predicateOf(column: string, rule: ExpectationRule): Expression | null {
  const input: Expression = { op: "column", name: column };
  const literal = (value: number): Expression => ({ op: "literal", value });
  if (rule.kind === "oneOf") return { op: "in", input, values: rule.values };
  if (rule.kind !== "range") return null;
  const { min, max } = rule;
  const low: Expression | null = min === undefined ? null : { op: "gte", left: input, right: literal(min) };
  const high: Expression | null = max === undefined ? null : { op: "lte", left: input, right: literal(max) };
  return low === null || high === null ? (low ?? high) : { op: "and", left: low, right: high };
}

/** `delay is from -90 to 1440`: as a person would say it. */
export function ruleText(column: string | undefined, rule: ExpectationRule): string {
  switch (rule.kind) {
    case "range":
      if (rule.max === undefined) return `${column} is at least ${rule.min}`;
      return rule.min === undefined
        ? `${column} is at most ${rule.max}`
        : `${column} is from ${rule.min} to ${rule.max}`;
    case "oneOf":
      return `${column} is one of ${shortList(rule.values.map((value) => JSON.stringify(value)))}`;
    case "pattern":
      return `${column} matches ${rule.pattern}`;
    case "nullRate":
      return `${column} is null in at most ${rule.max * 100}%`;
    case "unique":
      return `no two values of ${column} are the same`;
    case "monotone":
      return `${column} is ${rule.direction}${rule.per === undefined ? "" : ` for each ${rule.per}`}`;
    case "arrivalRate": {
      const { min, max } = rule;
      const range = max === undefined ? `at least ${min}` : min === undefined ? `at most ${max}` : `${min} to ${max}`;
      return `${range} events come in`;
    }
  }
}

const LISTED_MAX = 8;

function shortList(values: readonly string[]): string {
  if (values.length <= LISTED_MAX) return values.join(", ");
  return `${values.slice(0, LISTED_MAX).join(", ")} and ${values.length - LISTED_MAX} more`;
}
