/**
 * Features chosen from a view for a service or an on-demand view, perhaps under other names.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { OnefoldError } from "../base/errors.ts";
import { type Definition, type FeatureReference, formatViewName } from "./definition.ts";
import { callSite, type DefinedAt } from "./defined-at.ts";
import type { Simplify } from "./typing.ts";

/** A chosen feature; `as` is its name in the vector. */
export interface SelectedFeature extends FeatureReference {
  readonly as: string;
}

type Prefixed<P extends string, V> = { readonly [N in keyof V & string as `${P}${N}`]: V[N] };
type Renamed<R, V> = { readonly [N in keyof V & string as N extends keyof R ? R[N] & string : N]: V[N] };

/**
 * What a definition with features offers: all of them, or a choice. `V` is the value by name, `K` the key
 * columns, `Q` what the request must carry.
 */
export interface Selectable<V, K, Q = {}> {
  readonly "~selects"?: { readonly values: V; readonly keys: K; readonly request: Q };
  /** Only these features. */
  pick<const N extends keyof V & string>(...names: readonly N[]): Selection<Simplify<Pick<V, N>>, K, Q>;
  /** All of them, their names in the vector begun with `prefix`. */
  prefix<const P extends string>(prefix: P): Selection<Prefixed<P, V>, K, Q>;
  /** All of them, some under another name in the vector. */
  rename<const R extends { readonly [N in keyof V]?: string }>(names: R): Selection<Renamed<R, V>, K, Q>;
}

/** Whatever offers features, without the methods: their parameters would make it narrower than any one of them. */
export interface AnySelectable {
  readonly "~selects"?: { readonly values: any; readonly keys: any; readonly request: any };
}
export type ValuesOf<S> = S extends { readonly "~selects"?: { readonly values: infer V } } ? V : never;
export type KeysOf<S> = S extends { readonly "~selects"?: { readonly keys: infer K } } ? K : never;
export type RequestOf<S> = S extends { readonly "~selects"?: { readonly request: infer Q } } ? Q : never;

export class Selection<V = unknown, K = unknown, Q = {}> implements Selectable<V, K, Q> {
  declare readonly "~selects"?: { readonly values: V; readonly keys: K; readonly request: Q };
  readonly features: readonly SelectedFeature[];
  /** The definition chosen from. */
  readonly from: Definition;
  /** Through which it is asked, where not directly. */
  readonly #door: ((...args: never[]) => unknown) | undefined;

  constructor(features: readonly SelectedFeature[], from: Definition, door?: (...args: never[]) => unknown) {
    this.features = Object.freeze(features.map((feature) => Object.freeze({ ...feature })));
    this.from = from;
    this.#door = door;
    Object.freeze(this);
  }

  pick<const N extends keyof V & string>(...names: readonly N[]): Selection<Simplify<Pick<V, N>>, K, Q> {
    return new Selection(
      names.map((name) => this.#find(name, this.pick)),
      this.from,
    );
  }

  prefix<const P extends string>(prefix: P): Selection<Prefixed<P, V>, K, Q> {
    return new Selection(
      this.features.map((feature) => ({ ...feature, as: `${prefix}${feature.as}` })),
      this.from,
    );
  }

  rename<const R extends { readonly [N in keyof V]?: string }>(names: R): Selection<Renamed<R, V>, K, Q> {
    for (const name of Object.keys(names)) this.#find(name, this.rename);
    const asked = names as Readonly<Record<string, string>>;
    return new Selection(
      this.features.map((feature) => ({ ...feature, as: asked[feature.as] ?? feature.as })),
      this.from,
    );
  }

  #find(name: string, callee: (...args: never[]) => unknown): SelectedFeature {
    const found = this.features.find((feature) => feature.as === name);
    if (found !== undefined) return found;
    const names = this.features.map((feature) => feature.as);
    const from =
      this.from.kind === "view" || this.from.kind === "on-demand" ? formatViewName(this.from) : this.from.name;
    const at = callSite(this.#door ?? callee);
    throw new OnefoldError("DEFINITION_INVALID", `${from} has no feature "${name}"`, {
      where: at === undefined ? from : `${at.file}:${at.line}`,
      candidates: nearestNames(name, names),
      hint: `its features are: ${names.join(", ")}`,
    });
  }
}

/** All features of a view or on-demand view under their own names; chosen from through `door`, if it is given. */
export function selectAll(definition: Definition, door?: (...args: never[]) => unknown): Selection<any, any, any> {
  if (definition.kind === "view") {
    const { name, version, features } = definition;
    return new Selection(
      features.map((feature) => ({ view: name, version, feature: feature.name, as: feature.name })),
      definition,
      door,
    );
  }
  if (definition.kind === "on-demand") {
    const { name, version, outputs } = definition;
    return new Selection(
      outputs.map((output) => ({ view: name, version, feature: output.name, as: output.name })),
      definition,
      door,
    );
  }
  throw new OnefoldError("DEFINITION_INVALID", `${definition.kind} "${definition.name}" has no features to choose`);
}

/**
 * A selection, or all of a definition. Throws `DEFINITION_INVALID`, for what is written at `definedAt`, for anything else.
 */
export function asSelection(value: unknown, definedAt?: DefinedAt): Selection<any, any, any> {
  if (value instanceof Selection) return value;
  const isDefinition = typeof value === "object" && value !== null && "kind" in value;
  if (isDefinition) return selectAll(value as Definition);
  const where = definedAt === undefined ? {} : { where: `${definedAt.file}:${definedAt.line}` };
  if (value === undefined) {
    throw new OnefoldError("DEFINITION_INVALID", "a view that features are chosen from is undefined", {
      hint: "most likely modules that import each other, so that one runs before the other has defined the view: move what both need into a module of its own; or the view stands below its use",
      ...where,
    });
  }
  throw new OnefoldError("DEFINITION_INVALID", "features are chosen from views, not by name", {
    hint: "pass a view, view.pick(...) or view.prefix(...)",
    ...where,
  });
}

/**
 * Lets a definition offer its features. The methods are not enumerable: as data, the definition stays what it is.
 */
export function withSelection<D extends Definition>(definition: D): D {
  const method = <A extends unknown[]>(
    choose: (all: Selection<any, any, any>, ...args: A) => unknown,
  ): PropertyDescriptor => {
    // Of the object that is handed out: the definition given here is not the one its user exports.
    const value = (...args: A): unknown => choose(selectAll(result, value), ...args);
    return { value };
  };
  const result: D = Object.create(Object.prototype, {
    ...Object.getOwnPropertyDescriptors(definition),
    pick: method((all, ...names: string[]) => all.pick(...names)),
    prefix: method((all, prefix: string) => all.prefix(prefix)),
    rename: method((all, names: Record<string, string>) => all.rename(names)),
  }) as D;
  return Object.freeze(result);
}
