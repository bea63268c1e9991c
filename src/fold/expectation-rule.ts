/**
 * Whether a row meets what is expected of a single value: one function, at the door and where what came in is judged.
 */
import type { ExpectationDefinition } from "../define/expectation-definition.ts";
import { predicateOf } from "../define/expectation-problems.ts";
import { compilePattern } from "../schema/pattern.ts";
import type { Row, ValueType } from "../schema/value.ts";
import { columnResolver, compileExpression } from "./expression.ts";

/**
 * Over a row of these columns. Null meets all rules but `nullRate`, which none but null fails; the other rules are not of
 * single values, and every row meets them. Throws `DEFINITION_INVALID` for a column that is not there.
 */
export function compileRule(
  { name, column, rule }: Pick<ExpectationDefinition, "name" | "column" | "rule">,
  columns: readonly { readonly name: string; readonly type: ValueType }[],
  owner: string,
): (row: Row) => boolean {
  const place = `${owner}, expectation ${name}`;
  const resolve = columnResolver(columns, owner, place);
  if (rule.kind === "nullRate") {
    const { index } = resolve(column!);
    return (row) => (row[index] ?? null) !== null;
  }
  if (rule.kind === "pattern") {
    const { index } = resolve(column!);
    const holds = compilePattern(rule.pattern);
    return (row) => {
      const value = row[index];
      return typeof value !== "string" || holds(value);
    };
  }
  const predicate = predicateOf(column!, rule);
  if (predicate === null) return () => true;
  const { evaluate } = compileExpression(predicate, resolve, place);
  // Null, where the value is null, meets it.
  return (row) => evaluate(row) !== false;
}
