/**
 * Definitions name a source's columns by what they are called now; what is registered names them as they are stored. So a
 * renamed column changes no view: what reads it is the very definition that it was.
 */
import type { Column } from "../schema/value.ts";
import type { Aggregation } from "./aggregation-definition.ts";
import type { ExpectationDefinition } from "./expectation-definition.ts";
import type { Expression } from "./expression.ts";
import type { PollDefinition } from "./poll-definition.ts";

/** From what a column is called now to what it is stored as; other names stay as they are. */
export type StoredName = (name: string) => string;

export function storedNames(columns: readonly Pick<Column, "name" | "as">[]): StoredName {
  const renamed = new Map(columns.flatMap(({ name, as }) => (as === undefined ? [] : [[as, name] as const])));
  return (name) => renamed.get(name) ?? name;
}

/** The way back: what those who ask are told. */
export function presentNames(columns: readonly Pick<Column, "name" | "as">[]): StoredName {
  const renamed = new Map(columns.flatMap(({ name, as }) => (as === undefined ? [] : [[name, as] as const])));
  return (name) => renamed.get(name) ?? name;
}

export function withStoredNames(expression: Expression, stored: StoredName): Expression {
  const of = (part: Expression): Expression => withStoredNames(part, stored);
  switch (expression.op) {
    case "column":
      return { ...expression, name: stored(expression.name) };
    case "literal":
      return expression;
    case "coalesce":
      return { ...expression, inputs: expression.inputs.map(of) };
    case "when": {
      const { condition, then, otherwise } = expression;
      // oxlint-disable-next-line unicorn/no-thenable -- never a function
      return { op: "when", condition: of(condition), then: of(then), otherwise: of(otherwise) };
    }
    default:
      return "left" in expression
        ? { ...expression, left: of(expression.left), right: of(expression.right) }
        : { ...expression, input: of(expression.input) };
  }
}

export function storedAggregation(aggregation: Aggregation, stored: StoredName): Aggregation {
  const { column, where } = aggregation;
  return {
    ...aggregation,
    ...(column === undefined ? {} : { column: stored(column) }),
    ...(where === undefined ? {} : { where: withStoredNames(where, stored) }),
  };
}

export function storedExpectation(expectation: ExpectationDefinition, stored: StoredName): ExpectationDefinition {
  const { column, rule } = expectation;
  return {
    ...expectation,
    ...(column === undefined ? {} : { column: stored(column) }),
    rule: rule.kind === "monotone" && rule.per !== undefined ? { ...rule, per: stored(rule.per) } : rule,
  };
}

export function storedPoll(poll: PollDefinition, stored: StoredName): PollDefinition {
  const { cursor } = poll;
  return {
    ...poll,
    columns: poll.columns.map((column) => ({ ...column, name: stored(column.name) })),
    ...(cursor?.kind === "column" ? { cursor: { ...cursor, column: stored(cursor.column) } } : {}),
  };
}
