/**
 * What the operations of an expression compute, as closures over their operands' closures. Types and
 * meanings stand at the head of `expression.ts`.
 */
import { OnefoldError } from "../base/errors.ts";
import { MICROS_PER_DAY, MICROS_PER_HOUR } from "../base/micros.ts";
import { formatType, isNumeric, type Value, type ValueType } from "../schema/value.ts";
import {
  BOOL,
  type Evaluate,
  expectType,
  FLOAT64,
  INT64,
  invalid,
  literalNode,
  type Node,
  TIMESTAMP,
  unify,
} from "./expression-node.ts";

export function logical(op: "and" | "or", left: Node, right: Node, where: string | undefined): Node {
  expectType(op, left, ["bool"], where);
  expectType(op, right, ["bool"], where);
  const [a, b] = [left.evaluate, right.evaluate];
  const deciding = op === "or";
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

export function comparison(op: Comparison, left: Node, right: Node, where: string | undefined): Node {
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

export function membership(input: Node, values: readonly Value[], where: string | undefined): Node {
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

export function coalesce(inputs: readonly Node[], where: string | undefined): Node {
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

export function arithmetic(op: Arithmetic, left: Node, right: Node, where: string | undefined): Node {
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

export function unary(op: Unary, input: Node, where: string | undefined): Node {
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
