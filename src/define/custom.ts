/**
 * `custom`: the user's own aggregation as pure functions over JSON data.
 *
 *     const streak = custom("streak", {
 *       output: t.int64(),
 *       empty: () => 0,
 *       add: (state, late: boolean) => (late ? state + 1 : 0),
 *       read: (state) => state,
 *     });
 *     view(..., { features: { late_streak: streak("late") } })
 */
import type { Micros } from "../base/micros.ts";
import type { Value } from "../schema/value.ts";
import { Feature, type Windows } from "./feature-builder.ts";
import type { ColumnType } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { CustomAggregation } from "./aggregation-definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import type { ClassOfKind, Kind, ValueOfKind } from "./typing.ts";
import { checkShape } from "./shape.ts";

/** `S` is JSON data: it is stored as such. No function changes what it is given. */
export interface CustomFunctions<S, I, K extends Kind> {
  readonly output: ColumnType<K, boolean>;
  readonly empty: () => S;
  /** `input` is the column's value, never null; the whole row as an object where no column is named. */
  readonly add: (state: S, input: I, eventTime: Micros) => S;
  /** Associative; `earlier` holds events before `later`'s. Without it there are no windows. */
  readonly merge?: (earlier: S, later: S) => S;
  readonly read: (state: S, asOf: Micros) => ValueOfKind<K> | null;
}

type KindOfInput<I> = unknown extends I
  ? Kind
  : I extends number
    ? "number"
    : I extends string
      ? "string"
      : I extends boolean
        ? "bool"
        : I extends Uint8Array
          ? "bytes"
          : Kind;
type ClassOfInput<I> = [Micros] extends [I] ? ([I] extends [Micros] ? "time" : "ordered") : ClassOfKind<KindOfInput<I>>;

/** A custom aggregation, to be applied to a column or to whole rows. */
export interface Custom<I, K extends Kind, W extends Windows> {
  /** Over a column's values; rows where it is null are skipped. */
  <const C extends string>(column: C): Feature<readonly [C, ClassOfInput<I>], K, "always", W>;
  /** Over whole rows. */
  (): Feature<never, K, "always", W>;
}

export function custom<S, I, K extends Kind>(
  name: string,
  functions: CustomFunctions<S, I, K> & { readonly merge: (earlier: S, later: S) => S },
): Custom<I, K, "any">;
export function custom<S, I, K extends Kind>(
  name: string,
  functions: CustomFunctions<S, I, K> & { readonly merge?: never },
): Custom<I, K, "none">;
export function custom(name: string, functions: CustomFunctions<any, any, any>): Custom<any, any, any> {
  checkShape(custom, "custom aggregation", name, functions, {}, ["output", "empty", "add", "merge", "read"]);
  const definedAt = callSite(custom);
  const { output, empty, add, merge, read } = functions;
  const problems = nameProblems("its name", name);
  for (const [role, fn] of Object.entries({ empty, add, merge: merge ?? add, read })) {
    if (typeof fn !== "function") problems.push(`${role} is not a function`);
  }
  if (output?.valueType === undefined) problems.push("output is not a column type such as t.float64()");
  refuse({ name, definedAt }, "custom aggregation", problems);
  const aggregation: CustomAggregation = frozen({
    name,
    output: output.valueType,
    empty,
    add: add as (state: unknown, input: unknown, eventTime: number) => unknown,
    merge,
    read: read as (state: unknown, asOf: number) => Value,
    definedAt,
  });
  return ((columnName?: string) =>
    new Feature({ aggregation: frozen({ fn: "custom", column: columnName, custom: aggregation }) })) as Custom<
    any,
    any,
    any
  >;
}
