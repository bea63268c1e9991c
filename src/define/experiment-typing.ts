/**
 * What the compiler knows of an experiment's answers: they are of one of its versions, and which one only the answer says. Where
 * a version was named as text nothing is known.
 */
import type { ExperimentDefinition } from "./experiment-definition.ts";
import type { Intersection, Service, Vector, VectorKeys, VectorRequest } from "./service.ts";
import type { Simplify } from "./typing.ts";

export interface Experiment<
  N extends string = string,
  V = unknown,
  K = unknown,
  Q = unknown,
> extends ExperimentDefinition {
  readonly name: N;
  readonly "~types"?: Service<N, V, K, Q>["~types"];
}

type Anything = Readonly<Record<string, unknown>>;

/** Whether each version is given as a definition that was made by `service`: any other could pass for one of no features. */
type AreKnown<T extends readonly unknown[]> = [T[number]] extends [Service<string, any, any, any>]
  ? "~types" extends keyof T[number]
    ? true
    : false
  : false;

/** Features that all versions have, of whichever type; those that some have may be absent. */
export type ExperimentValues<T extends readonly unknown[]> =
  AreKnown<T> extends true ? OneOf<Vector<T[number]>> : Anything;

/** The key columns of all versions. */
export type ExperimentKeys<T extends readonly unknown[]> =
  AreKnown<T> extends true ? Simplify<Intersection<VectorKeys<T[number]>>> : Anything;

/** The request data of all versions, and the unit where requests carry it. */
export type ExperimentRequest<T extends readonly unknown[], U> =
  AreKnown<T> extends true ? Simplify<WithUnit<Intersection<VectorRequest<T[number]>>, U>> : Anything;

type WithUnit<Q, U> = U extends { readonly request: infer R extends string }
  ? R extends keyof Q
    ? Q
    : Q & { readonly [N in R]: string }
  : Q;

/** Of a union: its members' keys, all of them. */
type KeyOfAny<V> = V extends unknown ? keyof V : never;

/** Of a union: what its members have under a key. */
type ValueAt<V, N> = V extends unknown ? (N extends keyof V ? V[N] : never) : never;

type OneOf<V> = Simplify<
  { readonly [N in Extract<KeyOfAny<V>, keyof V>]: ValueAt<V, N> } & {
    readonly [N in Exclude<KeyOfAny<V>, keyof V>]?: ValueAt<V, N>;
  }
>;
