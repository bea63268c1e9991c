/**
 * Expressions as SQL, for sorting out rows that surely satisfy them: never for computing a feature.
 *
 * Numbers and times are doubles in both languages (times as microseconds), so + - * and comparisons agree
 * bit for bit. What does not surely agree (text order, lower, length, wide integers) has no SQL
 * here. `guards` are conditions under which the evaluation neither throws nor leaves the common ground; where
 * one does not hold, the row has to be looked at by the expression itself.
 */
import { MICROS_PER_DAY, MICROS_PER_HOUR, parseMicros } from "../base/micros.ts";
import type { ExpectationDefinition } from "../define/expectation-definition.ts";
import { predicateOf } from "../define/expectation-problems.ts";
import type { Expression } from "../define/expression.ts";
import { sqlName, sqlText } from "../offline-store/engine.ts";
import type { Value, ValueType } from "../schema/value.ts";

export interface SqlExpression {
  readonly sql: string;
  readonly kind: "number" | "time" | "text" | "bool" | "null";
  readonly guards: readonly string[];
}

/** SQL of a column by name, or null where it has none. */
export type ResolveSql = (name: string) => SqlExpression | null;

/** A stored column of one of the platform's tables. */
export function columnExpression(name: string, type: ValueType): SqlExpression | null {
  const column = sqlName(name);
  switch (type.name) {
    case "int64":
      return type.wide === true ? null : { sql: `${column}::DOUBLE`, kind: "number", guards: [] };
    case "float64":
      return { sql: column, kind: "number", guards: [`(${column} IS NULL OR isfinite(${column}))`] };
    case "timestamp":
      return { sql: `epoch_us(${column})::DOUBLE`, kind: "time", guards: [] };
    case "string":
      return { sql: column, kind: "text", guards: [] };
    case "bool":
      return { sql: column, kind: "bool", guards: [] };
    default:
      return null;
  }
}

/**
 * Conditions under which a row surely meets an expectation that refuses rows. Both engines of a pattern are RE2's and agree on
 * printable ASCII; what they know of other characters may be of different years.
 */
export function expectationSql({ column, rule, severity }: ExpectationDefinition, resolve: ResolveSql): string[] {
  if (severity === "warn") return [];
  if (rule.kind === "pattern") {
    const compiled = resolve(column!);
    if (compiled?.kind !== "text" || !/^[\x20-\x7e]*$/.test(rule.pattern)) return ["false"];
    const matches = `regexp_matches(${compiled.sql}, ${sqlText(rule.pattern)})`;
    const ascii = `regexp_full_match(${compiled.sql}, '[ -~]*')`;
    return [`(${compiled.sql} IS NULL OR (${matches} AND ${ascii}))`, ...compiled.guards];
  }
  const compiled = expressionSql(predicateOf(column!, rule)!, resolve);
  return compiled === null ? ["false"] : [`coalesce(${compiled.sql}, true)`, ...compiled.guards];
}

/** The expression as SQL, or null where it has no surely equal one. */
export function expressionSql(node: Expression, resolve: ResolveSql): SqlExpression | null {
  switch (node.op) {
    case "column":
      return resolve(node.name);
    case "literal":
      return literal(node.value);
    case "and":
    case "or":
      return combine([node.left, node.right], resolve, "bool", ([a, b]) => `(${a} ${node.op.toUpperCase()} ${b})`);
    case "not":
      return combine([node.input], resolve, "bool", ([a]) => `(NOT ${a})`);
    case "isNull":
      return combine([node.input], resolve, "bool", ([a]) => `(${a} IS NULL)`);
    case "eq":
    case "ne":
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return comparison(node.op, node.left, node.right, resolve);
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
      return arithmetic(node.op, node.left, node.right, resolve);
    case "hour":
      return combine(
        [node.input],
        resolve,
        "number",
        ([t]) => `floor((${t} - ${startOfDay(t!)}) / ${MICROS_PER_HOUR}::DOUBLE)`,
      );
    case "abs":
    case "negate":
      return combine([node.input], resolve, "number", ([a]) => (node.op === "abs" ? `abs(${a})` : `(0 - ${a})`));
    case "in": {
      const values = node.values.map((value): Expression => ({ op: "literal", value }));
      if (values.length === 0) return null;
      const equalities = values.map((value) => comparison("eq", node.input, value, resolve));
      if (equalities.includes(null)) return null;
      return {
        sql: `(${equalities.map((one) => one!.sql).join(" OR ")})`,
        kind: "bool",
        guards: equalities.flatMap((one) => one!.guards),
      };
    }
    case "coalesce":
    case "when":
      return branches(node, resolve);
    default:
      return null;
  }
}

function literal(value: Value): SqlExpression | null {
  if (value === null) return { sql: "NULL", kind: "null", guards: [] };
  if (typeof value === "number") return { sql: `'${value}'::DOUBLE`, kind: "number", guards: [] };
  if (typeof value === "boolean") return { sql: String(value), kind: "bool", guards: [] };
  if (typeof value === "string" && !value.includes("\0")) return { sql: sqlText(value), kind: "text", guards: [] };
  return null;
}

function combine(
  inputs: readonly Expression[],
  resolve: ResolveSql,
  kind: SqlExpression["kind"],
  build: (sql: string[]) => string,
): SqlExpression | null {
  const compiled = inputs.map((input) => expressionSql(input, resolve));
  if (compiled.some((one) => one === null)) return null;
  return { sql: build(compiled.map((one) => one!.sql)), kind, guards: compiled.flatMap((one) => one!.guards) };
}

const COMPARISONS = { eq: "=", ne: "<>", gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

function comparison(
  op: keyof typeof COMPARISONS,
  left: Expression,
  right: Expression,
  resolve: ResolveSql,
): SqlExpression | null {
  let a = expressionSql(left, resolve);
  let b = expressionSql(right, resolve);
  if (a === null || b === null) return null;
  if (a.kind === "time") b = asTime(right, b);
  else if (b.kind === "time") a = asTime(left, a);
  if (a === null || b === null) return null;
  if (a.kind !== b.kind && a.kind !== "null" && b.kind !== "null") return null;
  const isText = a.kind === "text" || b.kind === "text";
  if (isText && op !== "eq" && op !== "ne") return null;
  return { sql: `(${a.sql} ${COMPARISONS[op]} ${b.sql})`, kind: "bool", guards: [...a.guards, ...b.guards] };
}

/** A literal beside a time stands for one: ISO text, or microseconds. */
function asTime(node: Expression, compiled: SqlExpression): SqlExpression | null {
  if (compiled.kind === "time" || compiled.kind === "null") return compiled;
  if (node.op !== "literal") return null;
  if (typeof node.value === "number") return { ...compiled, kind: "time" };
  return typeof node.value === "string"
    ? { sql: `(${parseMicros(node.value)})::DOUBLE`, kind: "time", guards: [] }
    : null;
}

function startOfDay(time: string): string {
  const day = `${MICROS_PER_DAY}::DOUBLE`;
  return `floor(${time} / ${day}) * ${day}`;
}

/** Whether evaluating may throw: only arithmetic does. */
export function mayThrow(node: Expression): boolean {
  switch (node.op) {
    case "column":
    case "literal":
      return false;
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
      return true;
    case "coalesce":
      return node.inputs.some(mayThrow);
    case "when":
      return [node.condition, node.then, node.otherwise].some(mayThrow);
    default:
      return "left" in node ? mayThrow(node.left) || mayThrow(node.right) : mayThrow(node.input);
  }
}

const OPERATORS = { add: "+", subtract: "-", multiply: "*", divide: "/" } as const;

function arithmetic(
  op: keyof typeof OPERATORS,
  left: Expression,
  right: Expression,
  resolve: ResolveSql,
): SqlExpression | null {
  const a = expressionSql(left, resolve);
  const b = expressionSql(right, resolve);
  if (a === null || b === null) return null;
  const isTime = (a.kind === "time") !== (b.kind === "time");
  const plain = `(${a.sql} ${OPERATORS[op]} ${b.sql})`;
  const sql = op === "divide" ? `(CASE WHEN ${b.sql} <> 0 THEN ${plain} END)` : plain;
  const guard = `(${sql} IS NULL OR abs(${sql}) <= ${Number.MAX_SAFE_INTEGER})`;
  return { sql, kind: isTime ? "time" : "number", guards: [...a.guards, ...b.guards, guard] };
}

function branches(node: Extract<Expression, { op: "coalesce" | "when" }>, resolve: ResolveSql): SqlExpression | null {
  const results = (node.op === "when" ? [node.then, node.otherwise] : node.inputs).map((one) =>
    expressionSql(one, resolve),
  );
  const condition = node.op === "when" ? expressionSql(node.condition, resolve) : null;
  if (results.some((one) => one === null) || (node.op === "when" && condition === null)) return null;
  const kinds = new Set(results.map((one) => one!.kind).filter((kind) => kind !== "null"));
  if (kinds.size !== 1) return null;
  const sql =
    condition === null
      ? `coalesce(${results.map((one) => one!.sql).join(", ")})`
      : `(CASE WHEN ${condition.sql} THEN ${results[0]!.sql} ELSE ${results[1]!.sql} END)`;
  const guards = [...(condition?.guards ?? []), ...results.flatMap((one) => one!.guards)];
  return { sql, kind: [...kinds][0]!, guards };
}
