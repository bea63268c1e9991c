/**
 * `view`: features of one entity, folded from one source.
 */
import { checkValue } from "../schema/check-value.ts";
import { isOnefoldError } from "../base/errors.ts";
import type { Value, ValueType } from "../schema/value.ts";
import {
  type AnyFeature,
  type AnyGroupedFeature,
  type DefaultValue,
  Feature,
  type FreshnessText,
  GroupedFeature,
  isFreshnessClass,
  type Nulls,
} from "./feature-builder.ts";
import type { KindOf } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type {
  Described,
  EntityDefinition,
  FeatureDefinition,
  Freshness,
  SourceDefinition,
  ViewDefinition,
} from "./definition.ts";
import { duration } from "./duration.ts";
import { viewSla, type ViewSlaOptions } from "./sla.ts";
import type { Entity } from "./entity.ts";
import type { AnyExpectation, Expectation } from "./expectation.ts";
import type { ExpressionColumn } from "./expression-type.ts";
import { featureType } from "./feature-type.ts";
import { frozen } from "./frozen.ts";
import { rememberReferences } from "./references.ts";
import { type Selectable, withSelection } from "./selection.ts";
import { type AnySequenceFeature, type SEQUENCE_TIMES, SequenceFeature } from "./sequence.ts";
import { checkShape } from "./shape.ts";
import { expectationsOf } from "./source.ts";
import { columnsOf } from "./source-problems.ts";
import { type StoredName, storedAggregation, storedNames } from "./stored-names.ts";
import type { ArrayOfColumn, DurationText, InputOfKind, OfColumn, Problem, ValueOfKind } from "./typing.ts";
import { viewProblems } from "./view-problems.ts";

type AnyEntity = Entity<string, any>;
/** What stands under a name in `features`. */
type AnyEntry = AnyFeature | AnyGroupedFeature | AnySequenceFeature;
type AnySource = SourceDefinition & { readonly "~types"?: { readonly columns: any; readonly kinds: any } };

type KeysOfEntity<E> = E extends { readonly "~types"?: { readonly keys: infer K } } ? K : never;
type KindsOfSource<S> = S extends { readonly "~types"?: { readonly kinds: infer K } } ? K : never;

type ColumnsLike<Kinds, K> = { [N in keyof Kinds]: Kinds[N] extends K ? N : never }[keyof Kinds] & string;

/** For each key column, the source columns of its type; a sentence where there is none. */
type KeyMap<E, S> = {
  readonly [N in keyof KeysOfEntity<E> & string]: [ColumnsLike<KindsOfSource<S>, KindOf<KeysOfEntity<E>[N]>>] extends [
    never,
  ]
    ? `the source has no column of type ${KindOf<KeysOfEntity<E>[N]> & string} for key column "${N}"`
    : ColumnsLike<KindsOfSource<S>, KindOf<KeysOfEntity<E>[N]>>;
};

/** Key columns that the source does not have under the same name and type. */
type UnnamedKeys<E, S> = {
  [N in keyof KeysOfEntity<E> & string]: N extends ColumnsLike<KindsOfSource<S>, KindOf<KeysOfEntity<E>[N]>>
    ? never
    : N;
}[keyof KeysOfEntity<E> & string];

/** `key` may be left out where the source's columns are named as the entity's key columns. */
type KeyOption<E, S> = [UnnamedKeys<E, S>] extends [never]
  ? { readonly key?: Partial<KeyMap<E, S>> }
  : { readonly key: Pick<KeyMap<E, S>, UnnamedKeys<E, S>> & Partial<KeyMap<E, S>> };

type Checked<F, Kinds> = {
  readonly [N in keyof F]: F[N] extends
    | Feature<infer Needs, any, any, any>
    | GroupedFeature<infer Needs, any, any, any>
    | SequenceFeature<infer Needs, any>
    ? [Problem<Needs, Kinds>] extends [never]
      ? F[N]
      : Problem<Needs, Kinds>
    : F[N];
};

type KindOfFeature<O, Kinds> =
  O extends OfColumn<infer N>
    ? N extends keyof Kinds
      ? Kinds[N]
      : never
    : O extends ArrayOfColumn<infer N>
      ? N extends keyof Kinds
        ? `array<${Kinds[N] & string}>`
        : never
      : O;
type OrNull<E extends Nulls, Ttl> = E extends "never" ? ([Ttl] extends [undefined] ? never : null) : null;

/** What each feature's value is in a vector. */
type ValuesOfFeatures<F, Kinds, Ttl> = {
  readonly [N in FeatureNames<F>]: FeatureNamed<F, N> extends
    | Feature<any, infer O, infer E, any>
    | GroupedFeature<any, infer O, infer E, any>
    ? ValueOfKind<KindOfFeature<O, Kinds>> | OrNull<E, Ttl>
    : ValueOfKind<KindOfFeature<ListNamed<F, N>, Kinds>> | null;
};

/** The kind of each feature. */
type KindsOfFeatures<F, Kinds> = {
  readonly [N in FeatureNames<F>]: FeatureNamed<F, N> extends
    | Feature<any, infer O, any, any>
    | GroupedFeature<any, infer O, any, any>
    ? KindOfFeature<O, Kinds>
    : KindOfFeature<ListNamed<F, N>, Kinds>;
};

/** A feature has no order of arrival, and cannot be refused any more. */
type ExpectationProblem<X, Kinds> =
  X extends Expectation<infer N, infer S>
    ? S extends "refusing"
      ? "a feature is judged once its events are folded: it can only warn"
      : S extends "of events"
        ? "this is expected of a source's events, not of features"
        : Problem<N, Kinds>
    : never;
type CheckedExpect<X, Kinds> = {
  readonly [I in keyof X]: [ExpectationProblem<X[I], Kinds>] extends [never] ? X[I] : ExpectationProblem<X[I], Kinds>;
};

/** The names that one entry of `features` gives: its own, one a group, or one a column of a sequence. */
type NamesOf<N extends string, One> =
  One extends GroupedFeature<any, any, any, infer G>
    ? `${N}_${G | "other"}`
    : One extends SequenceFeature<any, infer C>
      ? `${N}_${C | typeof SEQUENCE_TIMES}`
      : N;
type FeatureNames<F> = { [N in keyof F & string]: NamesOf<N, F[N]> }[keyof F & string];
type FeatureNamed<F, Name> = {
  [N in keyof F & string]: Name extends NamesOf<N, F[N]> ? F[N] : never;
}[keyof F & string];

/** What the list of a sequence is of, by the feature's name. */
type ListNamed<F, Name> = {
  [N in keyof F & string]: F[N] extends SequenceFeature<any, infer C extends string> ? ListOf<C, N, Name> : never;
}[keyof F & string];
type ListOf<C extends string, N extends string, Name> =
  | { [One in C]: Name extends `${N}_${One}` ? ArrayOfColumn<One> : never }[C]
  | (Name extends `${N}_${typeof SEQUENCE_TIMES}` ? "array<timestamp>" : never);

type KeyValues<K> = { readonly [N in keyof K & string]: KeyOfKind<KindOf<K[N]>> };
/** A wide int64 may be any integer, as in events. */
type KeyOfKind<K> = K extends "wide int64" ? InputOfKind<K> : ValueOfKind<K>;

interface ViewOptions<E, S, F, Ttl, X> extends Described {
  /** 1, 2, ... or "dev". What is registered under a number never changes. Default 1. */
  readonly version?: number | "dev";
  readonly entity: E;
  readonly source: S;
  readonly features: F;
  /** All values are null once the entity's last event is older than this. Never deletes. */
  readonly ttl?: Ttl;
  /** State is emptied when an event comes this long after the one before it. */
  readonly forgetAfter?: DurationText;
  /** Default `real-time` over a stream, `daily` over a batch source. */
  readonly freshness?: FreshnessText;
  /** What it promises of its freshness, and what is served while that is broken (docs/monitoring.md). */
  readonly sla?: ViewSlaOptions;
  readonly online?: boolean;
  readonly offline?: boolean;
  /** Cron expression of five fields, UTC: when a view over a batch source is computed. */
  readonly schedule?: string;
  /** So many of an entity's newest events are never merged: windows within them are exact. Default 128. */
  readonly exactEvents?: number;
  /** What is expected of features, as the feature rows have them; no value depends on it. */
  readonly expect?: X;
}

export interface View<N extends string = string, E = unknown, V = any, K = any, S = unknown>
  extends ViewDefinition, Selectable<V, K> {
  readonly name: N;
  readonly "~types"?: { readonly entity: E; readonly source: S };
}

const OPTIONS: readonly string[] = [
  "version",
  "key",
  "ttl",
  "forgetAfter",
  "freshness",
  "sla",
  "online",
  "offline",
  "schedule",
  "exactEvents",
  "expect",
];

/** Features of one entity, folded from one source. Throws `DEFINITION_INVALID`. */
export function view<
  const N extends string,
  E extends AnyEntity,
  S extends AnySource,
  F extends Readonly<Record<string, AnyEntry>>,
  const Ttl extends DurationText | undefined = undefined,
  const X extends readonly AnyExpectation[] = [],
>(
  name: N,
  options: ViewOptions<E, S, F, Ttl, X> &
    KeyOption<E, S> & {
      readonly features: Checked<F, KindsOfSource<S>>;
      readonly expect?: CheckedExpect<X, KindsOfFeatures<F, KindsOfSource<S>>>;
    },
): View<N, E, ValuesOfFeatures<F, KindsOfSource<S>, Ttl>, KeyValues<KeysOfEntity<E>>, S> {
  checkShape(view, "view", name, options, { entity: "entity", source: "source", features: "members" }, OPTIONS);
  const { source, entity } = options;
  const problems: string[] = [];
  const columns = columnsOf(source);
  const stored = storedNames(source.columns);
  const key = options.key as Readonly<Record<string, string>> | undefined;
  const definition: ViewDefinition = frozen({
    kind: "view",
    name: name as string,
    version: options.version ?? 1,
    entity: entity.name,
    source: source.name,
    key: entity.keys.map((column) => stored(key?.[column.name] ?? column.name)),
    features: plainFeatures(options.features as Readonly<Record<string, AnyEntry>>, source).flatMap(
      ([featureName, feature]) => buildFeature(featureName, feature, { columns, stored }, problems) ?? [],
    ),
    online: options.online ?? true,
    offline: options.offline ?? true,
    freshness: readFreshness(options.freshness, source, problems),
    sla: viewSla(options.sla, problems),
    ttlMicros: duration("ttl", options.ttl, problems),
    forgetAfterMicros: duration("forgetAfter", options.forgetAfter, problems),
    schedule: options.schedule,
    exactEvents: options.exactEvents ?? 128,
    ...expectationsOf(options.expect, problems),
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt: callSite(view),
  });
  problems.push(...unknownKeys(key, entity));
  const allBroken = problems.length > 0 && definition.features.length === 0;
  refuse(definition, "view", [...problems, ...(allBroken ? [] : viewProblems(definition, source, entity))]);
  const result = withSelection(definition);
  rememberReferences(result, [entity, source]);
  return result as View<N, E, any, any, S>;
}

function plainFeatures(
  entries: Readonly<Record<string, AnyEntry>>,
  source: SourceDefinition,
): (readonly [name: string, feature: AnyFeature])[] {
  return Object.entries(entries).flatMap(([name, entry]) => {
    if (entry instanceof GroupedFeature) return entry.features(name);
    return entry instanceof SequenceFeature ? entry.features(name, source.eventTime) : [[name, entry] as const];
  });
}

function buildFeature(
  name: string,
  feature: AnyFeature,
  { columns, stored }: { readonly columns: readonly ExpressionColumn[]; readonly stored: StoredName },
  problems: string[],
): FeatureDefinition | undefined {
  if (!(feature instanceof Feature)) {
    problems.push(`feature "${name}" is not an aggregation such as count() or mean("amount")`);
    return undefined;
  }
  const { aggregation: written, defaultValue, problem, ...described } = feature.parts;
  if (problem !== undefined) {
    problems.push(`feature "${name}": ${problem}`);
    return undefined;
  }
  const aggregation = storedAggregation(written, stored);
  const type = featureType(aggregation, columns);
  if (typeof type === "string") problems.push(`feature "${name}": ${type}`);
  if (typeof type === "string") return undefined;
  const value = defaultValue === undefined ? undefined : readDefault(name, defaultValue, type, problems);
  return { name, type, aggregation, ...described, ...(value === undefined ? {} : { default: value }) };
}

function readDefault(name: string, value: DefaultValue, type: ValueType, problems: string[]): Value | undefined {
  try {
    return checkValue(value, type, { allowNonFinite: false });
  } catch (error) {
    if (!isOnefoldError(error)) throw error;
    problems.push(`feature "${name}": default: ${error.message}`);
    return undefined;
  }
}

function readFreshness(text: FreshnessText | undefined, source: SourceDefinition, problems: string[]): Freshness {
  const byDefault = source.kind === "stream" ? "real-time" : "daily";
  if (text === undefined) return byDefault;
  return isFreshnessClass(text) ? text : (duration("freshness", text, problems) ?? byDefault);
}

function unknownKeys(key: Readonly<Record<string, string>> | undefined, entity: EntityDefinition): string[] {
  const names = entity.keys.map((column) => column.name);
  return Object.keys(key ?? {})
    .filter((name) => !names.includes(name))
    .map((name) => `key: entity "${entity.name}" has no key column "${name}"; it has ${names.join(", ")}`);
}
