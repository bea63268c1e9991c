/**
 * Expressions as functions: checks the types of a predicate or derived column against its columns, then
 * turns it into a closure over a row.
 *
 * | operation                    | operands                                | result                     |
 * |------------------------------|-----------------------------------------|----------------------------|
 * | eq ne                        | same type, or int64 and float64         | bool, null if either is null |
 * | gt gte lt lte                | the same, but not bool or array         | bool, null if either is null |
 * | and or not                   | bool                                    | three-valued bool          |
 * | add subtract multiply        | int64, float64                          | int64 of two int64, else float64 |
 * | add subtract                 | timestamp and int64 microseconds        | timestamp                  |
 * | subtract                     | two timestamps                          | int64 microseconds         |
 * | divide                       | int64, float64                          | float64, null for a divisor of 0 |
 * | lower, length                | string (length: also bytes and array)   | string, int64              |
 * | hour, dayOfWeek              | timestamp                               | int64                      |
 *
 * `and` and `or` stop at the first operand that decides. Results are never -0. Arithmetic on finite
 * operands whose result is not finite, or an int64 result outside the safe range, throws: the event then
 * becomes a dead letter. Strings are ordered by UTF-16 code unit, bytes bytewise; a string's length is in
 * code points.
 */
import { OnefoldError } from "../base/errors.ts";
import { MICROS_PER_DAY, MICROS_PER_HOUR, parseMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { type Expression } from "../define/expression.ts";
import { formatType, isNumeric, type Row, sameType, type Value, type ValueType } from "../schema/value.ts";

export type Evaluate = (row: Row) => Value;

export interface ResolvedColumn {
  readonly index: number;
  readonly type: ValueType;
}

/** Throws `DEFINITION_INVALID` for a column that is not there. */
export type ResolveColumn = (name: string) => ResolvedColumn;

export interface CompiledExpression {
  readonly type: ValueType;
  readonly evaluate: Evaluate;
}

/** An expression under compilation; a bare null literal fits every type. */
interface Node {
  readonly type: ValueType | null;
  readonly evaluate: Evaluate;
  /** The value, where it is a literal. */
  readonly literal?: Value;
}

const BOOL: ValueType = { name: "bool" };
const INT64: ValueType = { name: "int64" };
const WIDE: ValueType = { name: "int64", wide: true };
const FLOAT64: ValueType = { name: "float64" };
const TIMESTAMP: ValueType = { name: "timestamp" };

type BinaryExpression = Extract<Expression, { readonly left: Expression }>;

/**
 * Compiles an expression. Throws `DEFINITION_INVALID`, with `where` as given, for an unknown column or
 * operands of the wrong types. The evaluation may throw; see the head of this file.
 */
export function compileExpression(expression: Expression, resolveColumn: ResolveColumn, where?: string): CompiledExpression {
  const node = compileNode(expression, resolveColumn, where);
  if (node.type === null) throw invalid("the expression is null for every row", where);
  return { type: node.type, evaluate: node.evaluate };
}

/** Compiles an expression that must be a bool, as a test that holds only where it is true. */
export function compilePredicate(
  expression: Expression,
  resolveColumn: ResolveColumn,
  where?: string,
): (row: Row) => boolean {
  const { type, evaluate } = compileExpression(expression, resolveColumn, where);
  if (type.name !== "bool") throw invalid(`a predicate must be a bool, this one is ${formatType(type)}`, where);
  return (row) => evaluate(row) === true;
}

/** Names of the columns an expression reads, each once, in order of appearance. */
export function expressionColumns(expression: Expression): string[] {
  const names = new Set<string>();
  const visit = (node: Expression): void => {
    if (node.op === "column") names.add(node.name);
    else for (const operand of operandsOf(node)) visit(operand);
  };
  visit(expression);
  return [...names];
}

/** Resolves names against a list of columns by position. */
export function columnResolver(
  columns: readonly { readonly name: string; readonly type: ValueType }[],
  owner: string,
  where?: string,
): ResolveColumn {
  const byName = new Map(columns.map((column, index) => [column.name, { index, type: column.type }]));
  return (name) => {
    const found = byName.get(name);
    if (found !== undefined) return found;
    throw new OnefoldError("DEFINITION_INVALID", `${owner} has no column "${name}"`, {
      ...(where === undefined ? {} : { where }),
      candidates: nearestNames(name, byName.keys()),
    });
  };
}

function operandsOf(node: Expression): readonly Expression[] {
  switch (node.op) {
    case "column":
    case "literal":
      return [];
    case "coalesce":
      return node.inputs;
    case "when":
      return [node.condition, node.then, node.otherwise];
    default:
      return "left" in node ? [node.left, node.right] : [node.input];
  }
}

function compileNode(node: Expression, resolve: ResolveColumn, where: string | undefined): Node {
  switch (node.op) {
    case "column": {
      const { index, type } = resolve(node.name);
      return { type, evaluate: (row) => row[index] ?? null };
    }
    case "literal":
      return literalNode(node.value, where);
    case "and":
    case "or":
      return logical(node, resolve, where);
    case "eq":
    case "ne":
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return comparison(node.op, compileNode(node.left, resolve, where), compileNode(node.right, resolve, where), where);
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
      return arithmetic(node.op, compileNode(node.left, resolve, where), compileNode(node.right, resolve, where), where);
    case "in":
      return membership(compileNode(node.input, resolve, where), node.values, where);
    case "coalesce":
      return coalesce(node.inputs.map((input) => compileNode(input, resolve, where)), where);
    case "when": {
      const condition = compileNode(node.condition, resolve, where);
      expectType("when", condition, ["bool"], where);
      const branches = unify(
        [compileNode(node.then, resolve, where), compileNode(node.otherwise, resolve, where)],
        "when",
        where,
      );
      const [then, otherwise] = [branches.nodes[0]!.evaluate, branches.nodes[1]!.evaluate];
      return { type: branches.type, evaluate: (row) => (condition.evaluate(row) === true ? then(row) : otherwise(row)) };
    }
    case "not":
    case "isNull":
    case "abs":
    case "negate":
    case "lower":
    case "length":
    case "hour":
    case "dayOfWeek":
      return unary(node.op, compileNode(node.input, resolve, where), where);
    default:
      throw invalid(`there is no operation "${String((node as { readonly op: unknown }).op)}"`, where);
  }
}

function literalNode(value: Value, where: string | undefined): Node {
  const literal = typeof value === "number" ? value + 0 : value;
  return { type: literalType(literal, where), evaluate: () => literal, literal };
}

function literalType(value: Value, where: string | undefined): ValueType | null {
  if (value === null) return null;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw invalid(`${value} cannot be a literal`, where);
    return Number.isSafeInteger(value) ? INT64 : FLOAT64;
  }
  if (typeof value === "string") return { name: "string" };
  if (typeof value === "boolean") return BOOL;
  if (value instanceof Uint8Array) return { name: "bytes" };
  throw invalid("an array cannot be a literal", where);
}

/** A literal takes the type of what it stands beside: ISO text beside a timestamp, a number beside a wide int64. */
function adapt(node: Node, type: ValueType, where: string | undefined): Node {
  if (node.type === null || sameType(node.type, type)) return node;
  if (type.name === "int64" && type.wide === true) {
    if (node.type.name === "int64") return { type: WIDE, evaluate: textOf(node.evaluate) };
    if (typeof node.literal === "string") {
      if (!/^-?(0|[1-9]\d*)$/.test(node.literal)) throw invalid(`"${node.literal}" is not a whole number`, where);
      return { ...node, type: WIDE };
    }
  }
  if (type.name === "timestamp" && typeof node.literal === "string") {
    const time = literalTime(node.literal, where);
    return { type: TIMESTAMP, evaluate: () => time, literal: time };
  }
  if (type.name === "timestamp" && typeof node.literal === "number" && node.type.name === "int64") {
    return { ...node, type: TIMESTAMP };
  }
  if (type.name === "float64" && isNumeric(node.type)) return { ...node, type: FLOAT64 };
  return node;
}

function literalTime(text: string, where: string | undefined): number {
  try {
    return parseMicros(text);
  } catch (cause) {
    throw new OnefoldError("DEFINITION_INVALID", (cause as Error).message, {
      ...(where === undefined ? {} : { where }),
      cause,
    });
  }
}

function textOf(evaluate: Evaluate): Evaluate {
  return (row) => {
    const value = evaluate(row);
    return value === null ? null : String(value);
  };
}

/** Brings operands to one type, or throws. The type is null only where all are null literals. */
function unify(nodes: readonly Node[], what: string, where: string | undefined): { type: ValueType | null; nodes: Node[] } {
  const typed = nodes.filter((node) => node.type !== null);
  if (typed.length === 0) return { type: null, nodes: [...nodes] };
  const wanted =
    typed.find((node) => node.type!.name === "int64" && !isNumeric(node.type!)) ??
    typed.find((node) => node.type!.name === "timestamp") ??
    typed.find((node) => node.type!.name === "float64") ??
    typed[0]!;
  const type = wanted.type!;
  const adapted = nodes.map((node) => adapt(node, type, where));
  const misfit = adapted.find((node) => node.type !== null && !sameType(node.type, type));
  if (misfit !== undefined) {
    throw invalid(`${what}: ${formatType(type)} and ${formatType(misfit.type!)} do not go together`, where);
  }
  return { type, nodes: adapted };
}

function logical(node: BinaryExpression, resolve: ResolveColumn, where: string | undefined): Node {
  const left = compileNode(node.left, resolve, where);
  const right = compileNode(node.right, resolve, where);
  expectType(node.op, left, ["bool"], where);
  expectType(node.op, right, ["bool"], where);
  const [a, b] = [left.evaluate, right.evaluate];
  const deciding = node.op === "or";
  const evaluate: Evaluate = (row) => {
    const first = a(row);
    if (first === deciding) return deciding;
    const second = b(row);
    if (second === deciding) return deciding;
    return first === null || second === null ? null : !deciding;
  };
  return { type: BOOL, evaluate };
}

type Comparison = "eq" | "ne" | "gt" | "gte" | "lt" | "lte";

function comparison(op: Comparison, left: Node, right: Node, where: string | undefined): Node {
  const { type, nodes } = unify([left, right], op, where);
  if (type === null) return { type: BOOL, evaluate: () => null };
  const ordered = op !== "eq" && op !== "ne";
  if (type.name === "array" || (ordered && type.name === "bool")) {
    throw invalid(`${op} does not compare ${formatType(type)}`, where);
  }
  const [a, b] = [nodes[0]!.evaluate, nodes[1]!.evaluate];
  if (type.name === "bytes") return { type: BOOL, evaluate: compareBy(op, a, b, compareBytes) };
  if (ordered && type.name === "int64" && type.wide === true) {
    return { type: BOOL, evaluate: compareBy(op, a, b, compareDecimals) };
  }
  return { type: BOOL, evaluate: compareDirectly(op, a, b) };
}

/** Numbers, strings and booleans: the language's own operators do what is wanted. */
function compareDirectly(op: Comparison, a: Evaluate, b: Evaluate): Evaluate {
  const test = (holds: (x: number, y: number) => boolean): Evaluate => {
    return (row) => {
      const x = a(row);
      const y = b(row);
      return x === null || y === null ? null : holds(x as number, y as number);
    };
  };
  switch (op) {
    case "eq":
      return test((x, y) => x === y);
    case "ne":
      return test((x, y) => x !== y);
    case "gt":
      return test((x, y) => x > y);
    case "gte":
      return test((x, y) => x >= y);
    case "lt":
      return test((x, y) => x < y);
    case "lte":
      return test((x, y) => x <= y);
  }
}

function compareBy(op: Comparison, a: Evaluate, b: Evaluate, compare: (x: Value, y: Value) => number): Evaluate {
  const ordering = compareDirectly(
    op,
    (row) => {
      const x = a(row);
      const y = b(row);
      return x === null || y === null ? null : compare(x, y);
    },
    () => 0,
  );
  return ordering;
}

function compareBytes(x: Value, y: Value): number {
  return Buffer.compare(x as Uint8Array, y as Uint8Array);
}

function compareDecimals(x: Value, y: Value): number {
  const [a, b] = [BigInt(x as string), BigInt(y as string)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function membership(input: Node, values: readonly Value[], where: string | undefined): Node {
  const { type, nodes } = unify([input, ...values.map((value) => literalNode(value, where))], "in", where);
  if (type === null) return { type: BOOL, evaluate: () => null };
  if (type.name === "array") throw invalid(`in does not compare ${formatType(type)}`, where);
  const keyOf = (value: Value): Value => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value);
  const evaluate = nodes[0]!.evaluate;
  const members = nodes.slice(1).map((node) => node.evaluate([]));
  const set = new Set(members.filter((value) => value !== null).map(keyOf));
  // as in SQL, a null among the values makes the answer for a stranger unknown
  const otherwise = members.includes(null) ? null : false;
  return {
    type: BOOL,
    evaluate: (row) => {
      const value = evaluate(row);
      if (value === null) return null;
      return set.has(keyOf(value)) ? true : otherwise;
    },
  };
}

function coalesce(inputs: readonly Node[], where: string | undefined): Node {
  if (inputs.length === 0) throw invalid("coalesce needs at least one input", where);
  const { type, nodes } = unify(inputs, "coalesce", where);
  const evaluations = nodes.map((node) => node.evaluate);
  return {
    type,
    evaluate: (row) => {
      for (const evaluate of evaluations) {
        const value = evaluate(row);
        if (value !== null) return value;
      }
      return null;
    },
  };
}

type Arithmetic = "add" | "subtract" | "multiply" | "divide";

function arithmetic(op: Arithmetic, left: Node, right: Node, where: string | undefined): Node {
  const type = arithmeticType(op, left.type, right.type);
  if (type === null) {
    const operands = [left, right].map((node) => (node.type === null ? "null" : formatType(node.type)));
    throw invalid(`${op} does not take ${operands.join(" and ")}`, where);
  }
  const [a, b] = [left.evaluate, right.evaluate];
  const compute = (name: string, calculate: (x: number, y: number) => number): Evaluate => {
    const finish = type.name === "float64" ? finiteResult : safeResult;
    return (row) => {
      const x = a(row);
      const y = b(row);
      if (x === null || y === null) return null;
      return finish(calculate(x as number, y as number), x as number, y as number, name);
    };
  };
  switch (op) {
    case "add":
      return { type, evaluate: compute("+", (x, y) => x + y) };
    case "subtract":
      return { type, evaluate: compute("-", (x, y) => x - y) };
    case "multiply":
      return { type, evaluate: compute("*", (x, y) => x * y) };
    case "divide": {
      const quotient = compute("/", (x, y) => x / y);
      return { type, evaluate: (row) => (b(row) === 0 ? null : quotient(row)) };
    }
  }
}

function arithmeticType(op: Arithmetic, left: ValueType | null, right: ValueType | null): ValueType | null {
  const a = left ?? right ?? INT64;
  const b = right ?? a;
  if (isNumeric(a) && isNumeric(b)) {
    return op === "divide" || a.name === "float64" || b.name === "float64" ? FLOAT64 : INT64;
  }
  const isTime = (type: ValueType): boolean => type.name === "timestamp";
  const isSpan = (type: ValueType): boolean => type.name === "int64" && isNumeric(type);
  if (op === "subtract" && isTime(a) && isTime(b)) return INT64;
  if ((op === "add" || op === "subtract") && isTime(a) && isSpan(b)) return TIMESTAMP;
  if (op === "add" && isSpan(a) && isTime(b)) return TIMESTAMP;
  return null;
}

function safeResult(result: number, x: number, y: number, operator: string): number {
  if (Number.isSafeInteger(result)) return result + 0;
  throw new OnefoldError("INT64_UNSAFE", `${x} ${operator} ${y} lies outside the safe int64 range`);
}

function finiteResult(result: number, x: number, y: number, operator: string): number {
  if (!Number.isFinite(result) && Number.isFinite(x) && Number.isFinite(y)) {
    throw new OnefoldError("NUMBER_NOT_FINITE", `${x} ${operator} ${y} is not finite`);
  }
  return result + 0;
}

type Unary = "not" | "isNull" | "abs" | "negate" | "lower" | "length" | "hour" | "dayOfWeek";

function unary(op: Unary, input: Node, where: string | undefined): Node {
  const of = (type: ValueType | null, apply: (value: never) => Value): Node => {
    const evaluate = input.evaluate;
    return {
      type,
      evaluate: (row) => {
        const value = evaluate(row);
        return value === null ? null : apply(value as never);
      },
    };
  };
  switch (op) {
    case "isNull":
      return { type: BOOL, evaluate: (row) => input.evaluate(row) === null };
    case "not":
      expectType(op, input, ["bool"], where);
      return of(BOOL, (value: boolean) => !value);
    case "abs":
    case "negate":
      expectType(op, input, ["int64", "float64"], where);
      return of(input.type, op === "abs" ? (value: number) => Math.abs(value) : (value: number) => 0 - value);
    case "lower":
      expectType(op, input, ["string"], where);
      return of(input.type, (value: string) => value.toLowerCase());
    case "length":
      expectType(op, input, ["string", "bytes", "array"], where);
      return of(INT64, (value: string | Uint8Array | readonly Value[]) =>
        typeof value === "string" ? codePoints(value) : value.length,
      );
    case "hour":
      expectType(op, input, ["timestamp"], where);
      return of(INT64, (value: number) => Math.floor((value - startOfDay(value)) / MICROS_PER_HOUR));
    case "dayOfWeek":
      expectType(op, input, ["timestamp"], where);
      return of(INT64, (value: number) => {
        // day 0 of the epoch was a Thursday
        const day = (startOfDay(value) / MICROS_PER_DAY + 3) % 7;
        return (day < 0 ? day + 7 : day) + 1;
      });
  }
}

function startOfDay(time: number): number {
  return Math.floor(time / MICROS_PER_DAY) * MICROS_PER_DAY;
}

function codePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if (text.codePointAt(i)! > 0xffff) i++;
    count++;
  }
  return count;
}

function expectType(op: string, node: Node, names: readonly ValueType["name"][], where: string | undefined): void {
  if (node.type === null) return;
  if (names.includes(node.type.name) && !(node.type.name === "int64" && !isNumeric(node.type))) return;
  throw invalid(`${op} takes ${names.join(" or ")}, not ${formatType(node.type)}`, where);
}

function invalid(what: string, where: string | undefined): OnefoldError {
  return new OnefoldError("DEFINITION_INVALID", what, where === undefined ? {} : { where });
}
