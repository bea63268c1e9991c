/**
 * Expressions as they are written: `col("delay").gt(15).and(col("origin").ne("JFK"))`.
 *
 * An `Expr` only wraps the plain data of `expression.ts`; its type parameters carry what it needs of the
 * source's columns and what it computes, for the compiler to check where the source is known.
 */
import { micros, type Micros } from "../base/micros.ts";
import type { Value } from "../schema/value.ts";
import type { Expression } from "./expression.ts";
import type { ClassOfKind, Class, Kind, Need, OfColumn, Require } from "./typing.ts";

/** A constant in an expression. A Date is an instant; text is never one. */
export type Literal = number | string | boolean | Date | Uint8Array;

// `any`: the parameters are phantoms, read back where the expression is used.
export type AnyExpr = Expr<any, any>;
type Operand = Literal | AnyExpr | null;

type KindOfLiteral<V> = V extends number
  ? "number"
  : V extends string
    ? "string"
    : V extends boolean
      ? "bool"
      : V extends Date
        ? "timestamp"
        : V extends Uint8Array
          ? "bytes"
          : never;
export type NeedsOf<V> = V extends Expr<infer N, any> ? N : never;
/** What an operand computes: a kind, or that of a column. */
export type OfOperand<V> = V extends Expr<any, infer O> ? O : KindOfLiteral<V>;

/** Both sides of a comparison have one class; a column takes that of the other side. */
type Alike<A, B> =
  A extends OfColumn<string>
    ? B extends OfColumn<string>
      ? never
      : Require<A, ClassOfKind<B>>
    : Require<B, ClassOfKind<A> & Class>;

type ClassLiteral<O, Extra = never> =
  O extends OfColumn<string>
    ? Exclude<Literal, boolean> | Extra
    : O extends "number" | "int64" | "float64"
      ? number
      : O extends "string" | "wide int64"
        ? string
        : O extends "timestamp"
          ? Date
          : O extends "bytes"
            ? Uint8Array
            : Extra;

export class Expr<N extends Need = never, O = Kind> {
  declare readonly "~types": { readonly needs: N; readonly of: O };
  readonly expression: Expression;

  constructor(expression: Expression) {
    this.expression = expression;
    Object.freeze(this);
  }

  eq<V extends ClassLiteral<O, boolean> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("eq", this, other);
  }

  ne<V extends ClassLiteral<O, boolean> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("ne", this, other);
  }

  gt<V extends ClassLiteral<O> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("gt", this, other);
  }

  gte<V extends ClassLiteral<O> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("gte", this, other);
  }

  lt<V extends ClassLiteral<O> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("lt", this, other);
  }

  lte<V extends ClassLiteral<O> | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Alike<O, OfOperand<V>>, "bool"> {
    return binary("lte", this, other);
  }

  and<V extends AnyExpr>(other: V): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "bool">, "bool"> {
    return binary("and", this, other);
  }

  or<V extends AnyExpr>(other: V): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "bool">, "bool"> {
    return binary("or", this, other);
  }

  not(): Expr<N | Require<O, "bool">, "bool"> {
    return new Expr({ op: "not", input: this.expression });
  }

  isNull(): Expr<N, "bool"> {
    return new Expr({ op: "isNull", input: this.expression });
  }

  /** True where the value is one of `values`; null where it is null. */
  in<V extends ClassLiteral<O, boolean>>(values: readonly V[]): Expr<N | Alike<O, KindOfLiteral<V>>, "bool"> {
    return new Expr({ op: "in", input: this.expression, values: values.map(literalValue) });
  }

  add<V extends number | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "number">, "number"> {
    return binary("add", this, other);
  }

  /** Of two timestamps: the microseconds between them. */
  subtract<V extends number | AnyExpr>(
    other: V,
  ): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "ordered">, "number"> {
    return binary("subtract", this, other);
  }

  multiply<V extends number | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "number">, "number"> {
    return binary("multiply", this, other);
  }

  /** A float64, also of two int64. */
  divide<V extends number | AnyExpr>(other: V): Expr<N | NeedsOf<V> | Require<O | OfOperand<V>, "number">, "number"> {
    return binary("divide", this, other);
  }

  abs(): Expr<N | Require<O, "number">, "number"> {
    return new Expr({ op: "abs", input: this.expression });
  }

  negate(): Expr<N | Require<O, "number">, "number"> {
    return new Expr({ op: "negate", input: this.expression });
  }

  lower(): Expr<N | Require<O, "text">, "string"> {
    return new Expr({ op: "lower", input: this.expression });
  }

  length(): Expr<N | Require<O, "measured">, "number"> {
    return new Expr({ op: "length", input: this.expression });
  }

  /** Hour of a timestamp in UTC, 0 to 23. */
  hour(): Expr<N | Require<O, "time">, "number"> {
    return new Expr({ op: "hour", input: this.expression });
  }

  /** Day of the week of a timestamp in UTC, 1 (Monday) to 7. */
  dayOfWeek(): Expr<N | Require<O, "time">, "number"> {
    return new Expr({ op: "dayOfWeek", input: this.expression });
  }

  /** The first of this and `others` that is not null. */
  coalesce<V extends readonly (ClassLiteral<O, boolean> | AnyExpr)[]>(
    ...others: V
  ): Expr<N | NeedsOf<V[number]> | Alike<O, OfOperand<V[number]>>, O> {
    return new Expr({ op: "coalesce", inputs: [this.expression, ...others.map((other) => lit(other).expression)] });
  }
}

/** A column of the source, stored or derived. */
export function col<const C extends string>(name: C): Expr<readonly [C, "any"], OfColumn<C>> {
  return new Expr({ op: "column", name });
}

/** A constant. An expression is returned as it is. */
export function lit<const V extends Operand>(value: V): Expr<NeedsOf<V>, OfOperand<V>> {
  if (value instanceof Expr) return value as Expr<NeedsOf<V>, OfOperand<V>>;
  return new Expr({ op: "literal", value: value === null ? null : literalValue(value as Literal) });
}

/** `then` where `condition` is true, else `otherwise` (also where it is null). */
export function when<C extends AnyExpr, const A extends Operand, const B extends Operand>(
  condition: C,
  then: A,
  otherwise: B,
): Expr<
  NeedsOf<C> | NeedsOf<A> | NeedsOf<B> | Require<OfOperand<C>, "bool"> | Alike<OfOperand<A>, OfOperand<B>>,
  OfOperand<A> | OfOperand<B>
> {
  return new Expr({
    op: "when",
    condition: condition.expression,
    // oxlint-disable-next-line unicorn/no-thenable -- never a function
    then: lit(then).expression,
    otherwise: lit(otherwise).expression,
  });
}

type BinaryOperation = Extract<Expression, { readonly left: Expression }>["op"];

function binary(op: BinaryOperation, left: AnyExpr, right: Operand): Expr<never, any> {
  return new Expr({ op, left: left.expression, right: lit(right).expression });
}

/** A Date becomes microseconds: in an expression's data an instant is a number, as everywhere. */
function literalValue(value: Literal): Value {
  if (value instanceof Date) return micros(value.getTime() * 1000) satisfies Micros;
  return typeof value === "number" ? value + 0 : value;
}
