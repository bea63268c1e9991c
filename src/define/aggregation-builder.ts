/**
 * Features as they are written: `sum("amount").over("1h").where(col("country").eq("DE"))`.
 *
 * A `Feature` is an immutable builder; each method returns a new one. `view` gives it its name and type.
 */
import { checkOptions } from "./shape.ts";
import { OnefoldError } from "../base/errors.ts";
import { type DurationMicros, parseDuration } from "../base/micros.ts";
import { frozen } from "./frozen.ts";
import type { Freshness } from "./definition.ts";
import type { Aggregation, AggregationName, AggregationParameters } from "./aggregation-definition.ts";
import type { Expression } from "./expression.ts";
import type { AnyExpr, Literal, NeedsOf, OfOperand } from "./expression-builder.ts";
import type { ClassOfKind, DurationText, Kind, ArrayOfColumn, Need, OfColumn, Require } from "./typing.ts";
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

export function aggregate(
  fn: AggregationName,
  column?: string,
  parameters?: AggregationParameters,
): Feature<any, any, any, any> {
  if (column !== undefined && typeof column !== "string") {
    const problem = `${fn} takes the name of a column, in quotes; derive an expression in the source first`;
    return new Feature({ aggregation: { fn }, problem });
  }
  return new Feature({
    aggregation: {
      fn,
      ...(column === undefined ? {} : { column }),
      ...(parameters === undefined ? {} : { parameters: frozen(parameters) }),
    },
  });
}

/** An aggregation told a length of time; a wrong one is told by the view. */
function timed(
  fn: AggregationName,
  column: string | undefined,
  [what, text]: readonly ["halfLife" | "gap", string],
): Feature<any, any, any, any> {
  try {
    return aggregate(fn, column, { [`${what}Micros`]: parseDuration(text) });
  } catch (error) {
    if (!(error instanceof OnefoldError)) throw error;
    return new Feature({ aggregation: { fn }, problem: `${what}: ${error.message}: ${error.hint ?? ""}` });
  }
}

export interface HalfLife {
  readonly halfLife: DurationText;
}

type Numeric<C extends string, E extends Nulls> = Feature<readonly [C, "number"], "number", E, "any">;
type Ordered<C extends string> = Feature<readonly [C, "ordered"], OfColumn<C>, "empty", "any">;
type Listed<C extends string> = Feature<readonly [C, "any"], ArrayOfColumn<C>, "empty", "any">;
type Plain<C extends string> = Feature<readonly [C, "any"], OfColumn<C>, "empty", "any">;

/** Number of events; with a column, of those where it is not null. 0 of nothing. */
export function count(): Feature<never, "number", "never", "any">;
export function count<const C extends string>(column: C): Feature<readonly [C, "any"], "number", "never", "any">;
export function count(column?: string): Feature<any, "number", "never", "any"> {
  return aggregate("count", column);
}

/** Compensated sum (Neumaier). Of int64 an int64, and status ERROR where it leaves the safe range. */
export function sum<const C extends string>(column: C): Numeric<C, "always"> {
  return aggregate("sum", column);
}

export function mean<const C extends string>(column: C): Numeric<C, "empty"> {
  return aggregate("mean", column);
}

/** Sample variance (n - 1), null for fewer than two values. */
export function variance<const C extends string>(column: C): Numeric<C, "empty"> {
  return aggregate("variance", column);
}

/** Sample standard deviation (n - 1), null for fewer than two values. */
export function stddev<const C extends string>(column: C): Numeric<C, "empty"> {
  return aggregate("stddev", column);
}

/** Smallest number or earliest timestamp. */
export function min<const C extends string>(column: C): Ordered<C> {
  return aggregate("min", column);
}

/** Largest number or latest timestamp. */
export function max<const C extends string>(column: C): Ordered<C> {
  return aggregate("max", column);
}

/** The earliest value that is not null, by event time. */
export function first<const C extends string>(column: C): Plain<C> {
  return aggregate("first", column);
}

/** The latest value that is not null, by event time. */
export function last<const C extends string>(column: C): Plain<C> {
  return aggregate("last", column);
}

/** The column itself as a feature: its latest value. For values computed elsewhere and pushed as events. */
export function column<const C extends string>(name: C): Plain<C> {
  return aggregate("last", name);
}

/** The earliest k values that are not null, oldest first. */
export function firstK<const C extends string>(column: C, k: number): Listed<C> {
  return aggregate("firstK", column, { k });
}

/** The latest k values that are not null, oldest first. */
export function lastK<const C extends string>(column: C, k: number): Listed<C> {
  return aggregate("lastK", column, { k });
}

/** Number of different values: exact to 256, then HyperLogLog. 0 of nothing. */
export function countDistinct<const C extends string>(
  column: C,
): Feature<readonly [C, "any"], "number", "never", "any"> {
  return aggregate("countDistinct", column);
}

/** The k most frequent values, most frequent first; of equally frequent ones the smaller first. */
export function topK<const C extends string>(column: C, k: number): Listed<C> {
  return aggregate("topK", column, { k });
}

/** How many events had each of the values that `topK` of the same k gives, in their order. */
export function topCounts<const C extends string>(
  column: C,
  k: number,
): Feature<readonly [C, "any"], "array<int64>", "empty", "any"> {
  return aggregate("topCounts", column, { k });
}

/** How many events had a value that `topK` of the same k does not give. 0 of nothing. */
export function topOther<const C extends string>(
  column: C,
  k: number,
): Feature<readonly [C, "any"], "int64", "never", "any"> {
  return aggregate("topOther", column, { k });
}

/** How many events had each of the categories, in their order, and last how many had another value. */
export function histogram<const C extends string>(
  column: C,
  options: { readonly categories: readonly (string | number | boolean)[] },
): Feature<readonly [C, "any"], "array<int64>", "never", "any"> {
  checkOptions(histogram, options, ["categories"]);
  return aggregate("histogram", column, { categories: options.categories });
}

/** The value at rank floor(q (n - 1)) in ascending order: exact to 128 values, then DDSketch. */
export function quantile<const C extends string>(column: C, q: number): Numeric<C, "empty"> {
  return aggregate("quantile", column, { q });
}

/** The mean in which a value weighs half as much after one half-life. */
export function ewma<const C extends string>(column: C, options: HalfLife): Numeric<C, "always"> {
  checkOptions(ewma, options, ["halfLife"]);
  return timed("ewma", column, ["halfLife", options.halfLife]);
}

/** The sum at asOf in which a value weighs half as much after one half-life. */
export function decayedSum<const C extends string>(column: C, options: HalfLife): Numeric<C, "always"> {
  checkOptions(decayedSum, options, ["halfLife"]);
  return timed("decayedSum", column, ["halfLife", options.halfLife]);
}

/** Seconds from the last event to asOf; with a column, from the last where it is not null. */
export function timeSinceLast(): Feature<never, "float64", "empty", "any">;
export function timeSinceLast<const C extends string>(
  column: C,
): Feature<readonly [C, "any"], "float64", "empty", "any">;
export function timeSinceLast(column?: string): Feature<any, "float64", "empty", "any"> {
  return aggregate("timeSinceLast", column);
}

/** Events a second over a time window, which it needs: the count over the window's length. 0 of nothing. */
export function rate(): Feature<never, "float64", "never", "any">;
export function rate<const C extends string>(column: C): Feature<readonly [C, "any"], "float64", "never", "any">;
export function rate(column?: string): Feature<any, "float64", "never", "any"> {
  return aggregate("rate", column);
}

/** Number of sessions: runs of events in which none comes more than `gap` behind the one before. 0 of nothing. */
export function countSessions(options: { readonly gap: DurationText }): Feature<never, "int64", "never", "any">;
export function countSessions(options: { readonly gap: DurationText }): Feature<any, "int64", "never", "any"> {
  checkOptions(countSessions, options, ["gap"]);
  return timed("countSessions", undefined, ["gap", options.gap]);
}
