import { expect, it } from "vitest";
import { type AnyExpr, col, lit, when } from "../../src/define/expression-builder.ts";
import { expressionText } from "../../src/define/expression-text.ts";

it.each<[AnyExpr, string]>([
  [col("delay").gt(15), "delay > 15"],
  [col("delay").gt(15).and(col("origin").eq("JFK")), '(delay > 15) and (origin = "JFK")'],
  [col("a").add(lit(1)).multiply(2), "(a + 1) * 2"],
  [col("a").isNull().not(), "not a is null"],
  [col("a").in(["x", "y"]).or(col("b").not()), '(a in ("x", "y")) or (not b)'],
  [col("a").negate().lt(col("b").abs()), "-a < abs(b)"],
  [when(col("a").isNull(), 0, col("b").coalesce(1)), "when(a is null, 0, coalesce(b, 1))"],
])("an expression is said as %#", (expression, text) => {
  expect(expressionText(expression.expression)).toBe(text);
});
