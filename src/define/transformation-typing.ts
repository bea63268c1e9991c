/**
 * What the compiler knows of transformations: what each needs of the features it names, what it gives, and
 * when that may be null.
 *
 * `standardize("delay")` is written before its service is known, so it carries its needs in its type
 * (`["delay", "number"]`), and `service` holds them against the features it has. A need that is not met
 * turns the expected type into a sentence, which the compiler prints.
 */
import type { Micros } from "../base/micros.ts";
import type { TransformationNode } from "./transformation-definition.ts";
import type { Simplify } from "./typing.ts";

/** What a transformation takes. The compiler cannot tell an int64 from a float64; the registry does. */
export type FeatureClass = "number" | "category" | "string" | "bool" | "any";

interface ClassText {
  number: "a number";
  category: "a string, an int64 or a bool";
  string: "a string";
  bool: "a bool";
  any: "anything";
}

/** A feature and what is needed of it. A name that begins with `!` is a sentence: a need that nothing meets. */
export type FeatureNeed = readonly [feature: string, needs: FeatureClass];

/** Stands for the value of a feature whose service is not known yet. */
export interface OfFeature<F extends string> {
  readonly feature: F;
}

/**
 * A transformation as the DSL writes it. `N` are its needs, `O` the type of its value, and `E` says when that
 * is null: `true` always may, a name where the feature of that name is, `never` never.
 */
export class Transformation<N extends FeatureNeed = FeatureNeed, O = unknown, E extends string | true = string | true> {
  declare readonly "~types": { readonly needs: N; readonly of: O; readonly nulls: E };
  readonly node: TransformationNode;

  constructor(node: TransformationNode) {
    this.node = node;
    Object.freeze(this);
  }
}

// `any`: the parameters are phantoms, and a class with them in a property is compared by all of them.
export type AnyTransformation = Transformation<any, any, any>;

/** The name of a feature, or a transformation of features. */
export type Operand = string | AnyTransformation;

export type NeedsOf<T, C extends FeatureClass> = T extends string
  ? readonly [T, C]
  : T extends Transformation<infer N, infer O, any>
    ? N | RequireOf<O, C>
    : never;
export type ValueOf<T> = T extends string ? OfFeature<T> : T extends Transformation<any, infer O, any> ? O : never;
export type NullsOf<T> = T extends string ? T : T extends Transformation<any, any, infer E> ? E : never;

type RequireOf<O, C extends FeatureClass> =
  O extends OfFeature<infer F>
    ? readonly [F, C]
    : Fits<O, C> extends true
      ? never
      : readonly [`!${ClassText[C]} is needed, this is ${TextOf<O>}`, "any"];

type IsAny<V> = 0 extends 1 & V ? true : false;

type Fits<V, C extends FeatureClass> =
  IsAny<V> extends true
    ? true
    : C extends "any"
      ? true
      : [V] extends [Micros]
        ? false
        : [V] extends [
              C extends "number"
                ? number
                : C extends "string"
                  ? string
                  : C extends "bool"
                    ? boolean
                    : string | number | boolean,
            ]
          ? true
          : false;

type TextOf<V> = [V] extends [Micros]
  ? "a timestamp"
  : [V] extends [number]
    ? "a number"
    : [V] extends [string]
      ? "a string"
      : [V] extends [boolean]
        ? "a bool"
        : [V] extends [Uint8Array]
          ? "bytes"
          : "an array";

/** The sentence for each need that the features with values `V` do not meet; never when all are met. */
type Problem<N, V> = N extends readonly [infer F extends string, infer C extends FeatureClass]
  ? string extends F
    ? never
    : F extends `!${infer Sentence}`
      ? Sentence
      : F extends keyof V
        ? Fits<NonNullable<V[F]>, C> extends true
          ? never
          : `feature "${F}" is ${TextOf<NonNullable<V[F]>>}: ${ClassText[C]} is needed`
        : `the service has no feature "${F}"`
  : never;

/** Each transformation, or a sentence where the features with values `V` do not do for it. */
export type CheckedTransform<X, V> = {
  readonly [N in keyof X]: X[N] extends Transformation<infer Needs, any, any>
    ? [Problem<Needs, V>] extends [never]
      ? X[N]
      : Problem<Needs, V>
    : X[N];
};

/** Each name, or a sentence where there is no such feature to leave out. */
export type CheckedOmit<O extends string, V> = readonly (O extends keyof V ? O : `the service has no feature "${O}"`)[];

type Resolved<O, V> = O extends OfFeature<infer F> ? (F extends keyof V ? NonNullable<V[F]> : never) : O;
type NullWhere<E, V> = true extends E ? null : E extends keyof V ? Extract<V[E], null> : never;
type Result<T, V> = T extends Transformation<any, infer O, infer E> ? Resolved<O, V> | NullWhere<E, V> : never;

/** A vector with values `V` after its transformations: some replaced, some appended, some left out. */
export type Transformed<V, X, O extends string> = Simplify<{
  readonly [N in Exclude<keyof V | keyof X, O>]: N extends keyof X ? Result<X[N], V> : N extends keyof V ? V[N] : never;
}>;
