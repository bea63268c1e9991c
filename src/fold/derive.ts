/**
 * Derived columns: a source's stored row extended by what its definition computes from it.
 *
 * They are never stored. Wherever stored rows are read (the door, the log, the archive), this computes
 * the same values again.
 */
import { OnefoldError } from "../base/errors.ts";
import type { DerivedColumn, SourceDefinition } from "../define/definition.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { formatType, isNumeric, type Row, sameType, type Value, type ValueType } from "../schema/value.ts";
import { columnResolver, compileExpression, expressionColumns } from "./expression.ts";
import type { Evaluate } from "./expression-node.ts";
import type { ViewFold } from "./view-fold.ts";

export interface CompiledDerived {
  /** Stored columns in schema order, then derived ones: the columns of a `Row`. */
  readonly columns: readonly { readonly name: string; readonly type: ValueType }[];
  readonly storedCount: number;
  /**
   * Writes the derived values behind the stored ones, into `stored` itself, and returns it.
   * Throws what an expression throws (`INT64_UNSAFE`, `NUMBER_NOT_FINITE`).
   */
  derive(stored: Value[]): Row;
  /** The stored columns that the named ones (stored or derived) are computed from, in schema order. */
  storedColumnsFor(columns: readonly string[]): string[];
  /** All columns, stored and derived, that the named ones are computed from, themselves included. */
  columnsBehind(columns: readonly string[]): ReadonlySet<string>;
}

/**
 * Compiles a source's derived columns; each may refer to those before it. With `wanted`, only the
 * derived columns that these names need are computed and the others stay null: for readers that fetch
 * only some stored columns. Throws `DEFINITION_INVALID`.
 */
export function compileDerived(source: SourceDefinition, wanted?: readonly string[]): CompiledDerived {
  const where = source.definedAt === undefined ? source.name : `${source.definedAt.file}:${source.definedAt.line}`;
  const columns: { name: string; type: ValueType }[] = source.columns.map(({ name, type }) => ({ name, type }));
  const storedCount = columns.length;
  const evaluations: Evaluate[] = [];
  for (const derived of source.derived) {
    const place = `${where}, derived column ${derived.name}`;
    const resolve = columnResolver(columns, `source ${source.name}`, place);
    const compiled = compileExpression(derived.expression, resolve, place);
    if (!fits(compiled.type, derived.type)) {
      throw new OnefoldError(
        "DEFINITION_INVALID",
        `the expression is ${formatType(compiled.type)}, its column is declared ${formatType(derived.type)}`,
        { where: place },
      );
    }
    if (columns.some((column) => column.name === derived.name)) {
      throw new OnefoldError("DEFINITION_INVALID", `there are two columns "${derived.name}"`, { where: place });
    }
    columns.push({ name: derived.name, type: derived.type });
    evaluations.push(compiled.evaluate);
  }
  const needed = wanted === undefined ? null : derivedBehind(source.derived, wanted);
  const computed = evaluations.map((evaluate, i) =>
    needed === null || needed.has(source.derived[i]!.name) ? evaluate : null,
  );
  return {
    columns,
    storedCount,
    derive(stored) {
      for (let i = 0; i < computed.length; i++) {
        const evaluate = computed[i]!;
        stored[storedCount + i] = evaluate === null ? null : evaluate(stored);
      }
      return stored;
    },
    storedColumnsFor(names) {
      const reached = derivedBehind(source.derived, names);
      return source.columns.map((column) => column.name).filter((name) => reached.has(name));
    },
    columnsBehind: (names) => derivedBehind(source.derived, names),
  };
}

/**
 * How a view's key is computed from stored rows, for readers of an archive, where no derived column stands.
 * `keyOf` gives null for a row that has no usable key.
 */
export function keyFromStored(
  source: SourceDefinition,
  key: readonly string[],
  fold: Pick<ViewFold, "keyOf">,
): { readonly columns: readonly string[]; keyOf(stored: Value[]): EntityKey | null } {
  const derived = compileDerived(source, key);
  return {
    columns: derived.storedColumnsFor(key),
    keyOf: (stored) => {
      try {
        return fold.keyOf(derived.derive(stored));
      } catch {
        return null;
      }
    },
  };
}

function derivedBehind(derived: readonly DerivedColumn[], names: readonly string[]): Set<string> {
  const reached = new Set(names);
  // later columns refer to earlier ones only, so one pass from the end reaches everything
  for (let i = derived.length - 1; i >= 0; i--) {
    if (!reached.has(derived[i]!.name)) continue;
    for (const name of expressionColumns(derived[i]!.expression)) reached.add(name);
  }
  return reached;
}

function fits(actual: ValueType, declared: ValueType): boolean {
  return sameType(actual, declared) || (declared.name === "float64" && isNumeric(actual));
}
