/**
 * What definitions say of requests and answers, as types: values as JSON carries them. Definitions are imported
 * as types only (`import type { fraud } from "./features.ts"`), so none of their code reaches the client.
 */
import type { Micros } from "../base/micros.ts";
import type { InputRow } from "../define/column-type.ts";

/** A value in memory as its JSON form: timestamps as RFC 3339 text, bytes as base64. */
type JsonForm<V> = V extends Micros
  ? string
  : V extends Uint8Array
    ? string
    : V extends readonly (infer E)[]
      ? readonly JsonForm<E>[]
      : V;

type AnyObject = Readonly<Record<string, unknown>>;

/** What a definition carries as types; null for what is no definition. */
type TypesOf<D> = D extends { readonly "~types"?: infer T } ? NonNullable<T> : null;

/** The features of a service's vector; of an experiment's answer, which is one of its versions' vectors. */
export type FeaturesOf<S> =
  TypesOf<S> extends { readonly values: infer V } ? { readonly [N in keyof V]: JsonForm<V[N]> } : AnyObject;

/** The key columns of a service's entities. */
export type EntitiesOf<S> =
  TypesOf<S> extends { readonly keys: infer K } ? { readonly [N in keyof K]: JsonForm<K[N]> } : AnyObject;

/** Request data of a service's on-demand features. */
export type RequestDataOf<S> = TypesOf<S> extends { readonly request: infer Q } ? Q : AnyObject;

/** A row as a stream takes it. */
export type RowOf<S> = TypesOf<S> extends { readonly columns: infer C } ? InputRow<C> : AnyObject;

/** With a version or an alias behind it, or with none, which is all that an experiment has. */
export type ServiceNameOf<S> = S extends { readonly kind: "experiment" }
  ? NameOf<S>
  : NameOf<S> | `${NameOf<S>}@${string}`;

export type NameOf<D> = D extends { readonly name: infer N extends string } ? N : string;
