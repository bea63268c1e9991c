/**
 * Definitions as frozen plain data: what the DSL builds and everything else reads.
 *
 * References between definitions are by name (and version), so a definition can be stored, compared and
 * fingerprinted on its own. The only members that are not data are the functions of `custom`
 * aggregations and on-demand views; they stand beside the data and are fingerprinted by their code.
 *
 * What kinds of definitions are made of is in files beside this one: `aggregation-definition.ts` for features of views,
 * `expectation-definition.ts`, `transformation-definition.ts`, `poll-definition.ts`.
 */
import type { DurationMicros, Micros } from "../base/micros.ts";
import type { Column, Value, ValueType } from "../schema/value.ts";
import type { Aggregation } from "./aggregation-definition.ts";
import type { MonitoringDefinition } from "./alert-definition.ts";
import type { DefinedAt } from "./defined-at.ts";
import type { ExpectationDefinition } from "./expectation-definition.ts";
import type { ExperimentDefinition } from "./experiment-definition.ts";
import type { Expression } from "./expression.ts";
import type { PollDefinition } from "./poll-definition.ts";
import type { TransformationDefinition } from "./transformation-definition.ts";

/** Who looks after a definition and how to find it. */
export interface Described {
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
}

/** `real-time` < 1 s, `near-real-time` < 10 s, `batch` < 1 h, `daily` < 24 h, or a duration in microseconds. */
export type Freshness = "real-time" | "near-real-time" | "batch" | "daily" | DurationMicros;

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
