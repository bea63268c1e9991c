/**
 * A feature as it is written, whatever its aggregation: its window, condition, default, TTL, and its values by group.
 *
 * A `Feature` is an immutable builder; each method returns a new one. `view` gives it its name and type.
 */
import { OnefoldError } from "../base/errors.ts";
import { type DurationMicros, parseDuration } from "../base/micros.ts";
import type { Aggregation } from "./aggregation-definition.ts";
import type { Freshness } from "./definition.ts";
import type { Expression } from "./expression.ts";
import type { AnyExpr, Literal, NeedsOf, OfOperand } from "./expression-builder.ts";
import { checkOptions } from "./shape.ts";
import type { ClassOfKind, DurationText, Kind, Need, OfColumn, Require } from "./typing.ts";
import { parseWindow, type WindowText } from "./window.ts";

/**
 * When a feature reads null: `never`; `empty` where nothing was known; `always` possible, whatever the
 * default, because a TTL or an overflow can take the value away.
 */
export type Nulls = "never" | "empty" | "always";

/** Which windows an aggregation can have: without a `merge`, a custom one has none. */
export type Windows = "any" | "none";

export type FreshnessText = "real-time" | "near-real-time" | "batch" | "daily" | DurationText;

/** What a feature can fall back to; a timestamp as a Date. */
export type DefaultValue = Literal | readonly DefaultValue[];

type DefaultFor<O> =
  O extends OfColumn<string>
    ? DefaultValue
    : O extends "number" | "int64" | "float64"
      ? number
      : O extends "string" | "wide int64"
        ? string
        : O extends "bool"
          ? boolean
          : O extends "timestamp"
            ? Date
            : O extends "bytes"
              ? Uint8Array
              : DefaultValue;

type ClassOfDefault<V> = V extends readonly unknown[] ? "any" : ClassOfKind<OfOperand<V>>;

/** What the builder has gathered; the name and the type come from the view. */
export interface FeatureParts {
  readonly aggregation: Aggregation;
  readonly defaultValue?: DefaultValue;
  readonly ttlMicros?: DurationMicros;
  readonly freshness?: Freshness;
  readonly online?: boolean;
  readonly offline?: boolean;
  readonly schedule?: string;
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  /** A wrong argument, told by the view, which knows the feature's name. */
  readonly problem?: string;
}

export class Feature<N extends Need = never, O = Kind, E extends Nulls = Nulls, W extends Windows = Windows> {
  declare readonly "~types": { readonly needs: N; readonly of: O; readonly nulls: E; readonly windows: W };
  readonly parts: FeatureParts;

  constructor(parts: FeatureParts) {
    this.parts = Object.freeze(parts);
    Object.freeze(this);
  }

  /**
   * Over the time window `(asOf - window, asOf]`, the entity's last n events, or its present session, which
   * `where` does not narrow: `where` chooses among the window's events. Without: over all events.
   */
  over(
    window: W extends "none" ? "a custom aggregation without merge has no windows" : WindowText,
  ): Feature<N, O, E, W> {
    if (typeof window === "object") checkOptions(this.over, window, ["last", "session", "max"]);
    return this.#withAggregation(() => ({ over: parseWindow(window) }));
  }

  /** Counts only the events for which `predicate` is true. A second `where` narrows the first. */
  where<P extends AnyExpr>(predicate: P): Feature<N | NeedsOf<P> | Require<OfOperand<P>, "bool">, O, E, W> {
    const first = this.parts.aggregation.where;
    const next = predicate.expression;
    return this.#withAggregation(() => ({
      where: first === undefined ? next : { op: "and", left: first, right: next },
    }));
  }

  /** Stands in for null where nothing was known; not for a value past its TTL or one that overflowed. */
  default<const V extends DefaultFor<O>>(
    value: V,
  ): Feature<
    N | (O extends OfColumn<string> ? Require<O, ClassOfDefault<V>> : never),
    O,
    E extends "always" ? E : "never",
    W
  > {
    return this.#with({ defaultValue: value });
  }

  /** The value is null once the entity's last event is older than this. Never deletes. */
  ttl(duration: DurationText): Feature<N, O, "always", W> {
    return this.#withDuration(duration, (ttlMicros) => ({ ttlMicros }));
  }

  /** The age its newest event may reach: a class, or a duration. */
  freshness(freshness: FreshnessText): Feature<N, O, E, W> {
    if (isFreshnessClass(freshness)) return this.#with({ freshness });
    return this.#withDuration(freshness, (micros) => ({ freshness: micros }));
  }

  /** `false`: trained on and written offline, but never served. A feature cannot be online where its view is not. */
  online(served: boolean): Feature<N, O, E, W> {
    return this.#with({ online: served });
  }

  /** `false`: served, but left out of the offline feature rows. */
  offline(written: boolean): Feature<N, O, E, W> {
    return this.#with({ offline: written });
  }

  /** Cron expression of five fields, UTC, for a feature over a batch source; else its view's. */
  schedule(cron: string): Feature<N, O, E, W> {
    return this.#with({ schedule: cron });
  }

  /**
   * The same for each of the listed values of a column, as features of their own: `name_group`, and
   * `name_other` for all other values. Events where the column is null are in none of them.
   */
  by<const C extends string, const G extends Groups>(
    groupColumn: C,
    options: { readonly groups: G },
  ): GroupedFeature<N | Require<OfColumn<C>, "any">, O, E, GroupNames<G>> {
    checkOptions(this.by, options, ["groups"]);
    return new GroupedFeature(this.parts, groupColumn, options.groups);
  }

  describe(description: string): Feature<N, O, E, W> {
    return this.#with({ description });
  }

  owner(owner: string): Feature<N, O, E, W> {
    return this.#with({ owner });
  }

  tags(...tags: readonly string[]): Feature<N, O, E, W> {
    return this.#with({ tags: [...(this.parts.tags ?? []), ...tags] });
  }

  #with(parts: Partial<FeatureParts>): Feature<any, any, any, any> {
    return new Feature({ ...this.parts, ...parts });
  }

  #withAggregation(parts: () => Partial<Aggregation>): Feature<any, any, any, any> {
    return this.#attempt(() => ({ aggregation: { ...this.parts.aggregation, ...parts() } }));
  }

  #withDuration(
    duration: string,
    parts: (micros: DurationMicros) => Partial<FeatureParts>,
  ): Feature<any, any, any, any> {
    return this.#attempt(() => parts(parseDuration(duration)));
  }

  #attempt(parts: () => Partial<FeatureParts>): Feature<any, any, any, any> {
    try {
      return this.#with(parts());
    } catch (error) {
      if (error instanceof OnefoldError) return this.#with({ problem: `${error.message}: ${error.hint ?? ""}` });
      throw error;
    }
  }
}

/** Values to group by: texts that are names themselves, or values by name. */
export type Groups = readonly string[] | Readonly<Record<string, string | number | boolean>>;
type GroupNames<G> = G extends readonly (infer V extends string)[] ? V : keyof G & string;

/** More groups than this are features that nobody reads. */
export const GROUPS_MAX = 100;
export const OTHER_GROUP = "other";

/** One aggregation by the values of a column; `view` makes features of it. */
export class GroupedFeature<N extends Need = never, O = Kind, E extends Nulls = Nulls, G extends string = string> {
  declare readonly "~types": { readonly needs: N; readonly of: O; readonly nulls: E; readonly groups: G };
  readonly #parts: FeatureParts;
  readonly #column: string;
  readonly #groups: readonly (readonly [name: string, value: string | number | boolean])[];

  constructor(parts: FeatureParts, groupColumn: string, groups: Groups) {
    this.#parts = parts;
    this.#column = groupColumn;
    this.#groups = Array.isArray(groups) ? groups.map((value: string) => [value, value]) : Object.entries(groups);
    Object.freeze(this);
  }

  /** The feature of each group by its name, in order, and that of all other values last. */
  features(name: string): readonly (readonly [name: string, feature: AnyFeature])[] {
    const input: Expression = { op: "column", name: this.#column };
    const values = this.#groups.map(([, value]) => value);
    const problem = this.#problem();
    if (problem !== undefined) return [[name, new Feature({ ...this.#parts, problem })]];
    const groups = this.#groups.map(([group, value]) => {
      const isIn: Expression = { op: "eq", left: input, right: { op: "literal", value } };
      return [`${name}_${group}`, this.#where(isIn)] as const;
    });
    const isOther: Expression = { op: "not", input: { op: "in", input, values } };
    return [...groups, [`${name}_${OTHER_GROUP}`, this.#where(isOther)]];
  }

  #where(next: Expression): AnyFeature {
    const { aggregation } = this.#parts;
    const where: Expression =
      aggregation.where === undefined ? next : { op: "and", left: aggregation.where, right: next };
    return new Feature({ ...this.#parts, aggregation: { ...aggregation, where } });
  }

  #problem(): string | undefined {
    const groups = this.#groups;
    if (groups.length < 1 || groups.length > GROUPS_MAX)
      return `by needs 1 to ${GROUPS_MAX} groups, not ${groups.length}`;
    const names = groups.map(([group]) => group);
    if (names.includes(OTHER_GROUP))
      return `by: a group named "${OTHER_GROUP}" would hide all other values; name it by { name: value }`;
    const wrong = names.find((group) => !/^[A-Za-z0-9_]+$/.test(group));
    if (wrong !== undefined)
      return `by: group ${JSON.stringify(wrong)} is no part of a name; give it one by { name: value }`;
    if (new Set(groups.map(([, value]) => value)).size < groups.length) return "by: a group is there twice";
    return this.#parts.problem;
  }
}

export type AnyGroupedFeature = GroupedFeature<any, any, any, any>;

// `any`: the parameters are phantoms, read back by the view.
export type AnyFeature = Feature<any, any, any, any>;

export function isFreshnessClass(text: string): text is Exclude<FreshnessText, DurationText> {
  return text === "real-time" || text === "near-real-time" || text === "batch" || text === "daily";
}
