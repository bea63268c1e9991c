/** Aggregations as plain data: which of them, of which column, over which window, told what. */
import type { DurationMicros } from "../base/micros.ts";
import type { Value, ValueType } from "../schema/value.ts";
import type { DefinedAt } from "./defined-at.ts";
import type { Expression } from "./expression.ts";

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
