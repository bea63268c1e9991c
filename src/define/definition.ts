/**
 * Definitions as frozen plain data: what the DSL builds and everything else reads.
 *
 * References between definitions are by name (and version), so a definition can be stored, compared and
 * fingerprinted on its own. The only members that are not data are the functions of `custom`
 * aggregations and on-demand views; they stand beside the data and are fingerprinted by their code.
 */
import type { DurationMicros, Micros } from "../base/micros.ts";
import type { Column, Value, ValueType } from "../schema/value.ts";
import type { MonitoringDefinition } from "./alert-definition.ts";
import type { ExperimentDefinition } from "./experiment-definition.ts";
import type { Expression } from "./expression.ts";
import type { PollDefinition } from "./poll-definition.ts";

/** Who looks after a definition and how to find it. */
export interface Described {
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
}

/** `real-time` < 1 s, `near-real-time` < 10 s, `batch` < 1 h, `daily` < 24 h, or a duration in microseconds. */
export type Freshness = "real-time" | "near-real-time" | "batch" | "daily" | DurationMicros;

/** File and line where a definition was written; never part of its fingerprint. */
export interface DefinedAt {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

interface Defined extends Described {
  readonly name: string;
  readonly definedAt?: DefinedAt;
}

export interface EntityDefinition extends Defined {
  readonly kind: "entity";
  /** One or more key columns, in key order. */
  readonly keys: readonly { readonly name: string; readonly type: ValueType }[];
}

/** A named predicate every row must satisfy (not false, not null) or become a dead letter. */
export interface Constraint {
  readonly name: string;
  readonly predicate: Expression;
}

/**
 * What an expectation says of a column's values. The first three are of a single value, and null meets them; the
 * others are of all values of a stretch of time.
 */
export type ExpectationRule =
  /** Bounds included; of a timestamp in microseconds. */
  | { readonly kind: "range"; readonly min?: number; readonly max?: number }
  | { readonly kind: "oneOf"; readonly values: readonly Value[] }
  /** Of RE2's syntax; a match anywhere in the text. */
  | { readonly kind: "pattern"; readonly pattern: string }
  /** Share of nulls. */
  | { readonly kind: "nullRate"; readonly max: number }
  | { readonly kind: "unique" }
  /** From one event to the next, in the order in which they came in; with `per`, of each of that column's values. */
  | { readonly kind: "monotone"; readonly direction: "increasing" | "decreasing"; readonly per?: string }
  /** Events known in a stretch of `perMicros`; of the source, not of a column. */
  | { readonly kind: "arrivalRate"; readonly min?: number; readonly max?: number; readonly perMicros: DurationMicros };

/** What becomes of it when it is not met: told, the event refused, or the push that brings it. */
export type ExpectationSeverity = "warn" | "quarantine" | "block";

export interface ExpectationDefinition {
  readonly name: string;
  /** A column of the source or a feature of the view; absent for `arrivalRate`. */
  readonly column?: string;
  readonly rule: ExpectationRule;
  readonly severity: ExpectationSeverity;
  /** The stretch of time that it is judged over. */
  readonly windowMicros: DurationMicros;
  /** The share of values that may not meet it before that is told; of one that warns. */
  readonly tolerate?: number;
  readonly definedAt?: DefinedAt;
}

/** A derived column: computed from the row before anything else sees it. */
export interface DerivedColumn {
  readonly name: string;
  readonly type: ValueType;
  readonly expression: Expression;
}

interface SourceShape extends Defined {
  /** The columns of a row as it arrives. */
  readonly columns: readonly Column[];
  readonly derived: readonly DerivedColumn[];
  readonly constraints: readonly Constraint[];
  /** Absent for none. */
  readonly expectations?: readonly ExpectationDefinition[];
  /** Name of the timestamp column that says when the event happened. */
  readonly eventTime: string;
  /** Name of the column that identifies an event, for de-duplication. */
  readonly id?: string;
  /** NaN and infinities are let in; otherwise they are refused at the door. */
  readonly allowNonFinite: boolean;
  readonly sla?: SourceSla;
}

/** What a source promises; no value depends on it. */
export interface SourceSla {
  readonly silenceMicros: DurationMicros;
}

/** What a view promises; it is no part of the view's meaning, and may change under its version. */
export interface ViewSla {
  readonly pipelineAgeMicros?: DurationMicros;
  /** So old may the last event be of at least this share of the entities. */
  readonly entityAge?: { readonly withinMicros: DurationMicros; readonly atLeast: number };
  readonly fallback?: Fallback;
}

/** What is served in place of a view's values: null, the features' defaults, or the values themselves with a flag. */
export type Fallback = "null" | "default" | "flag";

export interface StreamDefinition extends SourceShape {
  readonly kind: "stream";
  /** How far ahead of the clock an event's time may lie. */
  readonly maxFutureMicros: DurationMicros;
  /** An id is remembered at least this long (by known time). */
  readonly dedupeWithinMicros: DurationMicros;
  /** Imported history without a known-time column is known this long after its event time. */
  readonly availableAfterMicros: DurationMicros;
  /** An event that becomes known longer than this after it happened is counted as late; no value depends on it. Default one minute. */
  readonly lateAfterMicros?: DurationMicros;
  /** Rows are fetched from an API as well, while a process serves the folder; absent, they are only pushed. */
  readonly poll?: PollDefinition;
  /** The Kafka topic that workers read it from; how to reach Kafka is never part of a definition. */
  readonly kafka?: KafkaTopicDefinition;
}

export interface KafkaTopicDefinition {
  readonly topic: string;
  /** Folded as it is, without an internal topic: it is keyed by the entity and stamps the time of its append. */
  readonly direct?: true;
  /**
   * "record": an event is known from its record's own time on, as far as that is not in the future: for a topic that
   * held events before workers read it. Else from when it is routed.
   */
  readonly knownTime?: "record";
  /**
   * "entity": an id counts once for each entity, which spares the topic of ids and the wait for it: right where events
   * with one id have one key. Else once in the source.
   */
  readonly ids?: "entity";
}

export interface BatchSourceDefinition extends SourceShape {
  readonly kind: "batch";
  readonly format: BatchFormat;
  /** Path or glob of files, folder of a Delta table, or query, by format. */
  readonly location: string;
  /** Cron expression, five fields, UTC. */
  readonly schedule?: string;
  /** Only rows are read that are new by it. */
  readonly watermark?: WatermarkDefinition;
  /** Of format postgres: the environment variable that holds the URL. */
  readonly connectionEnv?: string;
}

export type BatchFormat = "parquet" | "csv" | "ndjson" | "delta" | "sql" | "postgres";

export interface WatermarkDefinition {
  /** A stored column that never gets smaller from one row to the next, such as the time of a change. */
  readonly column: string;
  /** For times: so much is read again, for rows that come to be seen late. */
  readonly lookbackMicros?: number;
}

export type SourceDefinition = StreamDefinition | BatchSourceDefinition;

export type AggregationName =
  | "count"
  | "sum"
  | "mean"
  | "min"
  | "max"
  | "variance"
  | "stddev"
  | "first"
  | "last"
  | "lastK"
  | "firstK"
  | "countDistinct"
  | "topK"
  | "topCounts"
  | "topOther"
  | "histogram"
  | "quantile"
  | "ewma"
  | "decayedSum"
  | "timeSinceLast"
  | "rate"
  | "countSessions"
  | "custom";

/** What an aggregation is told beside its column; each has those its name says. */
export interface AggregationParameters {
  /** firstK, lastK, topK, topCounts, topOther: how many. */
  readonly k?: number;
  /** quantile: from 0 to 1. */
  readonly q?: number;
  /** ewma, decayedSum. */
  readonly halfLifeMicros?: DurationMicros;
  /** countSessions: a longer time without an event parts two sessions. */
  readonly gapMicros?: DurationMicros;
  /** histogram: the values that are counted each on its own. */
  readonly categories?: readonly Value[];
}

/**
 * What a feature computes over: a time window `(asOf - micros, asOf]`, the last n events, the present session
 * (the events within `maxMicros` before asOf that no gap longer than `gapMicros` parts from asOf), or all (absent).
 */
export type Window =
  | { readonly kind: "time"; readonly micros: DurationMicros }
  | { readonly kind: "last"; readonly events: number }
  | { readonly kind: "session"; readonly gapMicros: DurationMicros; readonly maxMicros: DurationMicros };

/**
 * The user's own aggregation. `S` must be JSON data: it is stored as such. All functions are pure:
 * they return new states and never change the ones they are given.
 */
export interface CustomAggregation {
  readonly name: string;
  readonly output: ValueType;
  readonly empty: () => unknown;
  /** `input` is the column's value (never null), or the whole row as an object when no column is named. */
  readonly add: (state: unknown, input: unknown, eventTime: number) => unknown;
  /** Associative; `earlier` holds events before `later`'s. Needed for windows of either kind. */
  readonly merge?: (earlier: unknown, later: unknown) => unknown;
  readonly read: (state: unknown, asOf: number) => Value;
  readonly definedAt?: DefinedAt;
  /** Hash of the code and of the modules it reaches, once the loader has computed it. */
  readonly codeFingerprint?: string;
}

export interface Aggregation {
  readonly fn: AggregationName;
  /** Absent for `count()` of events and for a `custom` over the whole row. */
  readonly column?: string;
  readonly over?: Window;
  readonly where?: Expression;
  readonly custom?: CustomAggregation;
  readonly parameters?: AggregationParameters;
}

export interface FeatureDefinition extends Described {
  readonly name: string;
  readonly type: ValueType;
  readonly aggregation: Aggregation;
  /** Stands in for null where nothing was known; never for a value past its TTL. */
  readonly default?: Value;
  readonly ttlMicros?: DurationMicros;
  readonly freshness?: Freshness;
  /** false keeps it out of served vectors, or out of the offline feature rows, though its view is there. */
  readonly online?: boolean;
  readonly offline?: boolean;
  /** Cron expression, five fields, UTC, where it is not its view's: over batch sources only. */
  readonly schedule?: string;
}

export interface ViewDefinition extends Defined {
  readonly kind: "view";
  /** 1, 2, ... or "dev", the one mutable draft. */
  readonly version: number | "dev";
  readonly entity: string;
  readonly source: string;
  /** The source column that holds each key column of the entity, in the entity's key order. */
  readonly key: readonly string[];
  readonly features: readonly FeatureDefinition[];
  /** Served online; written offline as feature rows. */
  readonly online: boolean;
  readonly offline: boolean;
  readonly freshness: Freshness;
  readonly sla?: ViewSla;
  readonly ttlMicros?: DurationMicros;
  readonly forgetAfterMicros?: DurationMicros;
  /** Cron expression, five fields, UTC: when a view over a batch source is computed. */
  readonly schedule?: string;
  /** The newest so many events are never merged, whatever the window. */
  readonly exactEvents: number;
  /** Of its features, as its feature rows have them; absent for none. No value depends on them. */
  readonly expectations?: readonly ExpectationDefinition[];
}

/** A feature of a view, by name. */
export interface FeatureReference {
  readonly view: string;
  readonly version: number | "dev";
  readonly feature: string;
}

/** All that an on-demand function may know beside its inputs. */
export interface OnDemandContext {
  /** The one moment the vector is read at, or its label's time; microseconds since the epoch, UTC. */
  readonly asOf: Micros;
  /**
   * Uniform in [0, 1). The numbers of one call follow from its inputs, its request data and `asOf` alone, so
   * that training, serving and the audit draw the same ones.
   */
  readonly random: () => number;
}

export interface OnDemandDefinition extends Defined {
  readonly kind: "on-demand";
  readonly version: number | "dev";
  /** `as` is the name its function knows it by, unique among inputs and request columns. */
  readonly inputs: readonly (FeatureReference & { readonly as: string })[];
  /** Columns the caller sends with the request. */
  readonly request: readonly Column[];
  readonly outputs: readonly { readonly name: string; readonly type: ValueType; readonly description?: string }[];
  /** Absent: what fails becomes the status ERROR of the outputs concerned. "fail": it fails the whole vector. */
  readonly onError?: "fail";
  readonly compute: (inputs: Readonly<Record<string, Value>>, context: OnDemandContext) => unknown;
  readonly codeFingerprint?: string;
}

/**
 * The user's own transformation of one value. `fit` sees the values of the train split in row order, without
 * nulls; what it returns is JSON data, stored as such, and never changed by `apply`. Both are pure.
 */
export interface CustomTransformation {
  readonly name: string;
  readonly output: ValueType;
  readonly fit?: (values: readonly unknown[]) => unknown;
  /** `value` is never null; `fitted` is what `fit` returned, null without one. */
  readonly apply: (value: unknown, fitted: unknown) => Value;
  readonly definedAt?: DefinedAt;
  /** Hash of the code and of the modules it reaches, once the loader has computed it. */
  readonly codeFingerprint?: string;
}

/** What becomes of a value that is none of the categories. */
export type Unseen = "other" | "zeros" | "null" | "error";

/** How categories are found: listed, or the `max` most frequent of the train split. */
interface Categories {
  readonly categories?: readonly Value[];
  readonly max?: number;
  readonly unseen: Unseen;
}

/** How one value of a vector is computed from features of its service. */
export type TransformationNode =
  | { readonly op: "input"; readonly feature: string }
  | {
      readonly op: "impute";
      readonly input: TransformationNode;
      readonly by: "mean" | "median" | "mostFrequent" | "value";
      /** Only, and always, by value. */
      readonly value?: Value;
    }
  | { readonly op: "standardize"; readonly input: TransformationNode }
  | { readonly op: "minMax"; readonly input: TransformationNode; readonly low: number; readonly high: number }
  | { readonly op: "log1p"; readonly input: TransformationNode }
  | { readonly op: "clip"; readonly input: TransformationNode; readonly low?: number; readonly high?: number }
  | { readonly op: "bucketize"; readonly input: TransformationNode; readonly boundaries: readonly number[] }
  | { readonly op: "quantileBins"; readonly input: TransformationNode; readonly bins: number }
  | ({ readonly op: "oneHot"; readonly input: TransformationNode } & Categories)
  | ({ readonly op: "ordinal"; readonly input: TransformationNode } & Categories)
  | { readonly op: "hashBucket"; readonly input: TransformationNode; readonly buckets: number }
  | { readonly op: "cross"; readonly inputs: readonly TransformationNode[]; readonly buckets: number }
  | { readonly op: "custom"; readonly input: TransformationNode; readonly custom: CustomTransformation };

/** A value of a service's vector that a transformation gives: in the place of the feature of its name, or behind all. */
export interface TransformationDefinition {
  readonly name: string;
  readonly type: ValueType;
  readonly node: TransformationNode;
}

/** The named list of features one model reads. */
export interface ServiceDefinition extends Defined {
  readonly kind: "service";
  /** 2, 3, ...; absent of version 1, so that services from before they had versions mean what they meant. */
  readonly version?: number;
  /** In the order of the vector; `as` is the name in the vector, unique in it. */
  readonly features: readonly (FeatureReference & { readonly as: string })[];
  /** Names in it are those of `features` as they are read, never those of other transformations. */
  readonly transform?: readonly TransformationDefinition[];
  /** Features that are only read to be transformed: they are not in the vector. */
  readonly omit?: readonly string[];
}

/** What a feature comes from, or is read by. */
export type FeatureGraphDefinition =
  | EntityDefinition
  | SourceDefinition
  | ViewDefinition
  | OnDemandDefinition
  | ServiceDefinition;

export type Definition = FeatureGraphDefinition | ExperimentDefinition | MonitoringDefinition;

/** `name@version`. */
export function formatViewName(view: { readonly name: string; readonly version: number | "dev" }): string {
  return `${view.name}@${view.version}`;
}
