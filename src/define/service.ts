/**
 * `service`: the named list of features that one model reads. Its result is a feature vector.
 */
import { callSite, refuse } from "./defined-at.ts";
import type { Described, ServiceDefinition } from "./definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { rememberReferences } from "./references.ts";
import { type AnySelectable, asSelection, type KeysOf, type RequestOf, type ValuesOf } from "./selection.ts";
import { checkShape } from "./shape.ts";
import { repeated } from "./source-problems.ts";
import type { Simplify } from "./typing.ts";

type Intersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void ? I : never;

/** Each selection, or a sentence where a name in it was chosen before. */
type Distinct<T extends readonly unknown[], Seen extends string = never> = T extends readonly [infer S, ...infer Rest]
  ? [
      [keyof ValuesOf<S> & Seen] extends [never]
        ? S
        : `feature "${keyof ValuesOf<S> & Seen & string}" is in the service twice: use .prefix() or .pick()`,
      ...Distinct<Rest, Seen | (keyof ValuesOf<S> & string)>,
    ]
  : T;

interface ServiceTypes<V, K, Q> {
  readonly values: V;
  readonly keys: K;
  readonly request: Q;
}

export interface Service<N extends string = string, V = unknown, K = unknown, Q = unknown> extends ServiceDefinition {
  readonly name: N;
  readonly "~types"?: ServiceTypes<V, K, Q>;
}

/** The feature vector of a service: value by name. */
export type Vector<S> = S extends { readonly "~types"?: { readonly values: infer V } } ? V : never;

/** The key columns that name a vector's entities. */
export type VectorKeys<S> = S extends { readonly "~types"?: { readonly keys: infer K } } ? K : never;

/** What a request for a vector must carry for its on-demand features: value by column. */
export type VectorRequest<S> = S extends { readonly "~types"?: { readonly request: infer Q } } ? Q : never;

/** The named list of features that one model reads. Throws `DEFINITION_INVALID`. */
export function service<const N extends string, const T extends readonly AnySelectable[]>(
  name: N,
  options: Described & { readonly features: T } & { readonly features: Distinct<T> },
): Service<
  N,
  Simplify<Intersection<ValuesOf<T[number]>>>,
  Simplify<Intersection<KeysOf<T[number]>>>,
  Simplify<Intersection<RequestOf<T[number]>>>
> {
  checkShape(service, "service", name, options, { features: "list" });
  const selections = (options.features as T).map(asSelection);
  const definition: ServiceDefinition = frozen({
    kind: "service",
    name: name as string,
    features: selections.flatMap((selection) => selection.features),
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt: callSite(service),
  });
  refuse(definition, "service", serviceProblems(definition));
  rememberReferences(
    definition,
    selections.map((selection) => selection.from),
  );
  return definition as Service<N, any, any, any>;
}

/** What contradicts itself in a service; empty when nothing does. */
export function serviceProblems(definition: ServiceDefinition): string[] {
  const names = definition.features.map((feature) => feature.as);
  return [
    ...nameProblems("its name", definition.name),
    ...(names.length === 0 ? ["it has no features"] : []),
    ...names.flatMap((name) => nameProblems("feature", name)),
    ...repeated(names).map((name) => `feature "${name}" is in it twice: use .prefix() or .pick()`),
  ];
}
