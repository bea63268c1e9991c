/**
 * `service`: the named list of features that one model reads. Its result is a feature vector.
 */
import { callSite, refuse } from "./defined-at.ts";
import { type Described, formatViewName, type ServiceDefinition } from "./definition.ts";
import type { TransformationDefinition } from "./transformation-definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { rememberReferences } from "./references.ts";
import {
  type AnySelectable,
  asSelection,
  type KeysOf,
  type RequestOf,
  type Selection,
  type ValuesOf,
} from "./selection.ts";
import { serviceVersionProblems } from "./service-version.ts";
import { checkShape } from "./shape.ts";
import { repeated } from "./source-problems.ts";
import { transformationProblems } from "./transformation-problems.ts";
import { type FeatureTypes, transformationType } from "./transformation-type.ts";
import {
  type AnyTransformation,
  type CheckedOmit,
  type CheckedTransform,
  Transformation,
  type Transformed,
} from "./transformation-typing.ts";
import type { Simplify } from "./typing.ts";

/** Of the members of a union. */
export type Intersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void
  ? I
  : never;

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

type SelectedValues<T extends readonly AnySelectable[]> = Simplify<Intersection<ValuesOf<T[number]>>>;

interface ServiceOptions<T, X, O extends string> extends Described {
  /** 1, 2, ...: versions stand beside each other, and a name without one means what its alias says. Default 1. */
  readonly version?: number;
  readonly features: T;
  /** Values computed from the features: of a feature's name, they stand in its place; else behind all, in order. */
  readonly transform?: X;
  /** Features that are only read to be transformed: they are not in the vector. */
  readonly omit?: readonly O[];
}

/** The named list of features that one model reads. Throws `DEFINITION_INVALID`. */
export function service<
  const N extends string,
  const T extends readonly AnySelectable[],
  const X extends Readonly<Record<string, AnyTransformation>> = {},
  const O extends string = never,
>(
  name: N,
  options: ServiceOptions<T, X, O> & {
    readonly features: Distinct<T>;
    readonly transform?: CheckedTransform<X, SelectedValues<T>>;
    readonly omit?: CheckedOmit<O, SelectedValues<T>>;
  },
): Service<
  N,
  Transformed<SelectedValues<T>, X, O>,
  Simplify<Intersection<KeysOf<T[number]>>>,
  Simplify<Intersection<RequestOf<T[number]>>>
> {
  checkShape(
    service,
    "service",
    name,
    options,
    {
      features: "list",
      ...(options?.transform === undefined ? {} : { transform: "members" }),
      ...(options?.omit === undefined ? {} : { omit: "list" }),
    },
    ["version", "transform", "omit"],
  );
  const definedAt = callSite(service);
  const selections = (options.features as T).map((one) => asSelection(one, definedAt));
  const types = typesOf(selections);
  const definition: ServiceDefinition = frozen({
    kind: "service",
    name: name as string,
    version: options.version === 1 ? undefined : options.version,
    features: selections.flatMap((selection) => selection.features),
    transform:
      options.transform === undefined ? undefined : buildTransform(name, options.transform as X, types, definedAt),
    omit: options.omit as readonly string[] | undefined,
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt,
  });
  refuse(definition, "service", serviceProblems(definition, types));
  rememberReferences(
    definition,
    selections.map((selection) => selection.from),
  );
  return definition as Service<N, any, any, any>;
}

/** The types of chosen features by their names in the vector. */
function typesOf(selections: readonly Selection<any, any>[]): FeatureTypes {
  return new Map(
    selections.flatMap(({ features, from }) => {
      const known = from.kind === "view" ? from.features : from.kind === "on-demand" ? from.outputs : [];
      return features.flatMap(({ as, feature }) => {
        const found = known.find((one) => one.name === feature);
        return found === undefined ? [] : [[as, found.type] as const];
      });
    }),
  );
}

function buildTransform(
  serviceName: string,
  transform: Readonly<Record<string, AnyTransformation>>,
  types: FeatureTypes,
  definedAt: ServiceDefinition["definedAt"],
): TransformationDefinition[] {
  return Object.entries(transform).map(([name, transformation]) => {
    if (!(transformation instanceof Transformation)) {
      refuse({ name: serviceName, definedAt }, "service", [
        `transform "${name}" is not a transformation such as standardize("${name}")`,
      ]);
    }
    const { node } = transformation;
    const type = transformationType(node, types);
    // A wrong one is told with all other problems of the service; until then it has some type.
    return { name, type: typeof type === "string" ? { name: "float64" } : type, node };
  });
}

/**
 * What contradicts itself in a service; empty when nothing does. Its transformations are held against the
 * `types` of its features where those are known.
 */
export function serviceProblems(definition: ServiceDefinition, types: FeatureTypes | null): string[] {
  const names = definition.features.map((feature) => feature.as);
  return [
    ...nameProblems("its name", definition.name),
    ...serviceVersionProblems(definition.version),
    ...(names.length === 0 ? ["it has no features"] : []),
    ...names.flatMap((name) => nameProblems("feature", name)),
    ...repeated(names).map((name) => {
      const same = definition.features.filter(({ as }) => as === name);
      const from = same.map(({ view, version }) => formatViewName({ name: view, version }));
      return `feature "${name}" is in it twice, from ${from.join(" and ")}: use .prefix() or .pick()`;
    }),
    ...(types === null ? [] : transformationProblems(definition, types)),
  ];
}
