/**
 * The types that definitions infer are those that the fold computes: both are asked about random
 * expressions over columns of every type, and accept and refuse the same ones.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Expression } from "../../src/define/expression.ts";
import { ExpressionProblem, expressionType } from "../../src/define/expression-type.ts";
import { columnResolver, compileExpression } from "../../src/fold/expression.ts";
import { formatType, type Value, type ValueType } from "../../src/schema/value.ts";

const COLUMNS: readonly { readonly name: string; readonly type: ValueType }[] = [
  { name: "whole", type: { name: "int64" } },
  { name: "wide", type: { name: "int64", wide: true } },
  { name: "real", type: { name: "float64" } },
  { name: "text", type: { name: "string" } },
  { name: "raw", type: { name: "bytes" } },
  { name: "flag", type: { name: "bool" } },
  { name: "time", type: { name: "timestamp" } },
  { name: "list", type: { name: "array", element: { name: "int64" } } },
];

const literal: fc.Arbitrary<Value> = fc.constantFrom<Value>(
  null,
  1,
  1.5,
  "12",
  "x",
  "2026-01-01",
  true,
  new Uint8Array([1]),
);

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(...COLUMNS.map(({ name }): Expression => ({ op: "column", name }))),
    literal.map((value): Expression => ({ op: "literal", value })),
    fc.record({
      op: fc.constantFrom("eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "add", "subtract", "multiply", "divide"),
      left: tie("expression"),
      right: tie("expression"),
    }) as fc.Arbitrary<Expression>,
    fc.record({
      op: fc.constantFrom("not", "isNull", "abs", "negate", "lower", "length", "hour", "dayOfWeek"),
      input: tie("expression"),
    }) as fc.Arbitrary<Expression>,
    fc.record({
      op: fc.constant("in" as const),
      input: tie("expression"),
      values: fc.array(literal, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      op: fc.constant("coalesce" as const),
      inputs: fc.array(tie("expression"), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      op: fc.constant("when" as const),
      condition: tie("expression"),
      // oxlint-disable-next-line unicorn/no-thenable -- never a function
      then: tie("expression"),
      otherwise: tie("expression"),
    }),
  ),
}));

function inferred(data: Expression): string {
  try {
    const type = expressionType(data, COLUMNS);
    return type === null ? "refused" : `${formatType(type)}${"wide" in type ? " wide" : ""}`;
  } catch (error) {
    if (error instanceof ExpressionProblem) return "refused";
    throw error;
  }
}

function compiled(data: Expression): string {
  try {
    const { type } = compileExpression(data, columnResolver(COLUMNS, "source"));
    return `${formatType(type)}${"wide" in type ? " wide" : ""}`;
  } catch (error) {
    expect(error).toHaveProperty("code", expect.stringMatching(/DEFINITION_INVALID|TIME_INVALID/));
    return "refused";
  }
}

describe("types of expressions", () => {
  it("are those the fold computes, for random expressions", () => {
    let accepted = 0;
    fc.assert(
      fc.property(expression, (data) => {
        const type = inferred(data);
        if (type !== "refused") accepted++;
        expect(type).toBe(compiled(data));
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(2000);
  });
});
