/**
 * Derived columns: a source's stored row extended by what its definition computes from it.
 *
 * They are never stored. Wherever stored rows are read (the door, the log, the archive), this computes
 * the same values again.
 */
import { OnefoldError } from "../base/errors.ts";
import type { DerivedColumn, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { formatType, isNumeric, type Row, sameType, type Value, type ValueType } from "../schema/value.ts";
import { columnResolver, compileExpression, expressionColumns } from "./expression.ts";
import type { Evaluate } from "./expression-node.ts";
import type { ViewFold } from "./view-fold.ts";

/** What derived columns of one row threw, by column. */
export type DerivedFaults = ReadonlyMap<string, unknown>;

export interface CompiledDerived {
  /** Stored columns in schema order, then derived ones: the columns of a `Row`. */
  readonly columns: readonly { readonly name: string; readonly type: ValueType }[];
  readonly storedCount: number;
  /**
   * Writes the derived values behind the stored ones, into `stored` itself, and returns it.
   * Throws what an expression throws (`INT64_UNSAFE`, `NUMBER_NOT_FINITE`).
   */
  derive(stored: Value[]): Row;
  /**
   * As `derive`, for rows that were let in before a column was declared: one that throws is null, and what it
   * threw is returned by its name. Null where none did. Never throws.
   */
  deriveEach(stored: Value[]): DerivedFaults | null;
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
    deriveEach(stored) {
      let faults: Map<string, unknown> | null = null;
      for (let i = 0; i < computed.length; i++) {
        const evaluate = computed[i]!;
        try {
          stored[storedCount + i] = evaluate === null ? null : evaluate(stored);
        } catch (error) {
          stored[storedCount + i] = null;
          (faults ??= new Map()).set(source.derived[i]!.name, error);
        }
      }
      return faults;
    },
    storedColumnsFor(names) {
      const reached = derivedBehind(source.derived, names);
      return source.columns.map((column) => column.name).filter((name) => reached.has(name));
    },
    columnsBehind: (names) => derivedBehind(source.derived, names),
  };
}

/** What a view asks of a row's derived columns. */
export interface ViewDerivation {
  /** Computes them behind a stored row, in place. Throws where one that the view names, or one behind it, throws. */
  derive(stored: Value[]): Row;
  /** What `derive` would throw for a row whose derived columns threw this; null where the view names none of them. */
  faultIn(faults: DerivedFaults): { readonly error: unknown } | null;
}

/**
 * The derived columns of one view; null where it is given none. An event is poison for a view where a column
 * threw that its key, inputs or predicates name. A custom aggregation of whole rows names none: it is given null
 * for a column that threw, so that a column declared later takes no event away from it.
 */
export function deriveForView(
  view: Pick<ViewDefinition, "key" | "features">,
  source: SourceDefinition,
): ViewDerivation | null {
  const named = new Set(view.key);
  let wholeRows = false;
  for (const { aggregation } of view.features) {
    if (aggregation.column !== undefined) named.add(aggregation.column);
    else if (aggregation.custom !== undefined) wholeRows = true;
    if (aggregation.where !== undefined) for (const name of expressionColumns(aggregation.where)) named.add(name);
  }
  const reached = derivedBehind(source.derived, [...named]);
  const needed = source.derived.map(({ name }) => name).filter((name) => reached.has(name));
  if (source.derived.length === 0 || (needed.length === 0 && !wholeRows)) return null;
  const compiled = wholeRows ? compileDerived(source) : compileDerived(source, needed);
  const faultIn = (faults: DerivedFaults): { readonly error: unknown } | null => {
    const name = needed.find((column) => faults.has(column));
    return name === undefined ? null : { error: faults.get(name) };
  };
  return {
    faultIn,
    derive(stored) {
      const faults = compiled.deriveEach(stored);
      const fault = faults === null ? null : faultIn(faults);
      if (fault !== null) throw fault.error;
      return stored;
    },
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
