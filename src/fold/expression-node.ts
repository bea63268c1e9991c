/**
 * An expression under compilation: its type, its evaluation, and how operands are brought to one type.
 */
import { OnefoldError } from "../base/errors.ts";
import { parseMicros } from "../base/micros.ts";
import { formatType, isNumeric, type Row, sameType, type Value, type ValueType } from "../schema/value.ts";

export type Evaluate = (row: Row) => Value;

/** An expression under compilation; a bare null literal fits every type. */
export interface Node {
  readonly type: ValueType | null;
  readonly evaluate: Evaluate;
  /** The value, where it is a literal. */
  readonly literal?: Value;
}

export const BOOL: ValueType = { name: "bool" };
export const INT64: ValueType = { name: "int64" };
const WIDE: ValueType = { name: "int64", wide: true };
export const FLOAT64: ValueType = { name: "float64" };
export const TIMESTAMP: ValueType = { name: "timestamp" };

export function literalNode(value: Value, where: string | undefined): Node {
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
export function unify(
  nodes: readonly Node[],
  what: string,
  where: string | undefined,
): { type: ValueType | null; nodes: Node[] } {
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
export function expectType(
  op: string,
  node: Node,
  names: readonly ValueType["name"][],
  where: string | undefined,
): void {
  if (node.type === null) return;
  if (names.includes(node.type.name) && !(node.type.name === "int64" && !isNumeric(node.type))) return;
  throw invalid(`${op} takes ${names.join(" or ")}, not ${formatType(node.type)}`, where);
}

export function invalid(what: string, where: string | undefined): OnefoldError {
  return new OnefoldError("DEFINITION_INVALID", what, where === undefined ? {} : { where });
}
