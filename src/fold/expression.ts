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
import { nearestNames } from "../base/nearest-names.ts";
import type { Expression } from "../define/expression.ts";
import { formatType, type Row, type ValueType } from "../schema/value.ts";
import { type Evaluate, expectType, invalid, literalNode, type Node, unify } from "./expression-node.ts";
import { arithmetic, coalesce, comparison, logical, membership, unary } from "./expression-operations.ts";

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

/**
 * Compiles an expression. Throws `DEFINITION_INVALID`, with `where` as given, for an unknown column or
 * operands of the wrong types. The evaluation may throw; see the head of this file.
 */
export function compileExpression(
  expression: Expression,
  resolveColumn: ResolveColumn,
  where?: string,
): CompiledExpression {
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
      return logical(node.op, compileNode(node.left, resolve, where), compileNode(node.right, resolve, where), where);
    case "eq":
    case "ne":
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return comparison(
        node.op,
        compileNode(node.left, resolve, where),
        compileNode(node.right, resolve, where),
        where,
      );
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
      return arithmetic(
        node.op,
        compileNode(node.left, resolve, where),
        compileNode(node.right, resolve, where),
        where,
      );
    case "in":
      return membership(compileNode(node.input, resolve, where), node.values, where);
    case "coalesce":
      return coalesce(
        node.inputs.map((input) => compileNode(input, resolve, where)),
        where,
      );
    case "when": {
      const condition = compileNode(node.condition, resolve, where);
      expectType("when", condition, ["bool"], where);
      const branches = unify(
        [compileNode(node.then, resolve, where), compileNode(node.otherwise, resolve, where)],
        "when",
        where,
      );
      const [then, otherwise] = [branches.nodes[0]!.evaluate, branches.nodes[1]!.evaluate];
      return {
        type: branches.type,
        evaluate: (row) => (condition.evaluate(row) === true ? then(row) : otherwise(row)),
      };
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
