/**
 * `t`: the column types of sources, entity keys and outputs.
 */
import type { ValueType } from "../schema/value.ts";
import type { InputOfKind, Kind, NonFinite, ValueOfKind } from "./typing.ts";

/** What became of a source's column. */
export interface ColumnPast {
  /** Former names, the first one first. */
  readonly names: readonly string[];
  /** The type that it was first registered with; absent where that is the present one. */
  readonly from?: ValueType;
  readonly isDropped: boolean;
}

const NO_PAST: ColumnPast = { names: [], isDropped: false };

/** What is said of a column's past where there is none to tell of: only a source's are stored. */
export function pastProblems(what: string, columns: Readonly<Record<string, AnyColumnType>>): string[] {
  return Object.entries(columns)
    .filter(([, column]) => {
      const { names, from, isDropped } = (column.past as ColumnPast | undefined) ?? NO_PAST;
      return names.length > 0 || from !== undefined || isDropped;
    })
    .map(([name]) => `${what} "${name}": was, widenedFrom and dropped are for the columns of a source`);
}

/** A column's type as the DSL writes it; every method returns a new one. */
export class ColumnType<K extends Kind = Kind, N extends boolean = boolean> {
  declare readonly "~types": { readonly kind: K; readonly nullable: N };
  readonly valueType: ValueType;
  readonly isNullable: boolean;
  readonly description: string | undefined;
  readonly past: ColumnPast;

  constructor(valueType: ValueType, isNullable: boolean, description: string | undefined, past: ColumnPast = NO_PAST) {
    this.valueType = Object.freeze(valueType);
    this.isNullable = isNullable;
    this.description = description;
    this.past = Object.freeze(past);
    Object.freeze(this);
  }

  /** Lets the column be null or missing. */
  nullable(): ColumnType<K, true> {
    return new ColumnType<K, true>(this.valueType, true, this.description, this.past);
  }

  /**
   * Of a source's column that was renamed: its former names, the first one first. Whoever still sends one of them is
   * understood; what is stored stays under the first.
   */
  was(...names: readonly [string, ...string[]]): ColumnType<K, N> {
    return new ColumnType<K, N>(this.valueType, this.isNullable, this.description, { ...this.past, names });
  }

  /** Of a source's column whose type was widened: the type that it was first registered with, as `t.float64().widenedFrom(t.int64())`. */
  widenedFrom(former: ColumnType<any, any>): ColumnType<K, N> {
    const past = { ...this.past, from: former.valueType };
    return new ColumnType<K, N>(this.valueType, this.isNullable, this.description, past);
  }

  /** Of a source's column that nobody reads any more: it is null from now on, and whoever still sends it is understood. */
  dropped(): ColumnType<K, true> {
    return new ColumnType<K, true>(this.valueType, true, this.description, { ...this.past, isDropped: true });
  }

  describe(text: string): ColumnType<K, N> {
    return new ColumnType<K, N>(this.valueType, this.isNullable, text, this.past);
  }
}

// `any`: the parameters are phantoms, and a class with them in a property is compared by both.
export type AnyColumnType = ColumnType<any, any>;
export type KindOf<C> = C extends ColumnType<infer K, any> ? K : never;

type NullableNames<Columns> = {
  [N in keyof Columns]: Columns[N] extends ColumnType<any, true> ? N : never;
}[keyof Columns];

/** A row with these columns as a door takes it. `F` is what it takes for a float64. */
export type InputRow<Columns, F = number | NonFinite> = {
  readonly [N in Exclude<keyof Columns, NullableNames<Columns>>]: InputOfKind<KindOf<Columns[N]>, F>;
} & { readonly [N in NullableNames<Columns>]?: InputOfKind<KindOf<Columns[N]>, F> | null };

/** Request data with these columns: what is not finite is refused there. */
export type RequestRow<Columns> = InputRow<Columns, number>;

/** A row with these columns as functions of the platform see it. */
export type ValueRow<Columns> = {
  readonly [N in keyof Columns]: Columns[N] extends ColumnType<infer K, infer Nullable>
    ? ValueOfKind<K> | (Nullable extends true ? null : never)
    : never;
};

interface Int64Type {
  /** Safe integers, -(2^53-1) to 2^53-1. */
  (options?: { readonly wide?: false }): ColumnType<"int64", false>;
  /** Any 64-bit integer, held as decimal text: for identifiers. Equality only, no arithmetic. */
  (options: { readonly wide: true }): ColumnType<"wide int64", false>;
}

const int64 = ((options?: { readonly wide?: boolean }) =>
  new ColumnType(
    options?.wide === true ? { name: "int64", wide: true } : { name: "int64" },
    false,
    undefined,
  )) as Int64Type;

/** The seven value types. All are non-null until `.nullable()`. */
export const t: {
  readonly int64: Int64Type;
  readonly float64: () => ColumnType<"float64", false>;
  readonly string: () => ColumnType<"string", false>;
  readonly bytes: () => ColumnType<"bytes", false>;
  readonly bool: () => ColumnType<"bool", false>;
  /** An instant, in integer microseconds, UTC. */
  readonly timestamp: () => ColumnType<"timestamp", false>;
  /** A list whose elements may be null. */
  readonly array: <K extends Kind>(element: ColumnType<K, boolean>) => ColumnType<`array<${K}>`, false>;
} = Object.freeze({
  int64,
  float64: () => new ColumnType<"float64", false>({ name: "float64" }, false, undefined),
  string: () => new ColumnType<"string", false>({ name: "string" }, false, undefined),
  bytes: () => new ColumnType<"bytes", false>({ name: "bytes" }, false, undefined),
  bool: () => new ColumnType<"bool", false>({ name: "bool" }, false, undefined),
  timestamp: () => new ColumnType<"timestamp", false>({ name: "timestamp" }, false, undefined),
  array: <K extends Kind>(element: ColumnType<K, boolean>) =>
    new ColumnType<`array<${K}>`, false>({ name: "array", element: element.valueType }, false, undefined),
});
