/**
 * What is told of the quality of a source or a view: its expectations as they were met in a stretch of time, and what its
 * columns looked like on a day. Names are those of the wire.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { Value } from "../../schema/value.ts";
import type { Signal, SignalSubject } from "../signal.ts";
import { type ColumnProfile, PROFILE_QUANTILES } from "./column-profile.ts";
import type { Judgement } from "./judge.ts";

export interface ExpectationAnswer {
  readonly name: string;
  readonly column: string | null;
  readonly expected: string;
  readonly severity: Judgement["severity"];
  readonly from: string;
  readonly to: string;
  readonly measure: Judgement["measure"];
  readonly samples: number;
  readonly failing: number;
  /** Events that it refused; they are among `samples` and `failing`. */
  readonly refused: number;
  readonly value: number | null;
  readonly threshold: number;
  readonly met: boolean;
  readonly examples: readonly { readonly value: Value; readonly count: number }[];
}

export interface ProfileAnswer {
  readonly column: string;
  readonly type: string;
  readonly count: number;
  readonly nulls: number;
  readonly null_ratio: number;
  readonly non_finite: number;
  readonly mean: number | null;
  readonly stddev: number | null;
  readonly min: number | string | null;
  readonly max: number | string | null;
  /** By `p01`, `p05`, ...; null where the column has none. */
  readonly quantiles: Readonly<Record<string, number | null>> | null;
  readonly quantile_error: number;
  readonly top: readonly { readonly value: Value; readonly count: number }[];
  readonly top_error: number;
  readonly distinct: number;
  readonly distinct_error: number;
}

export interface SubjectAnswer {
  /** Of a source; else null. */
  readonly source: string | null;
  /** `view@version`; else null. */
  readonly view: string | null;
  readonly expectations: readonly ExpectationAnswer[];
  /** Of `day`, by column; null where there is no profile of it. */
  readonly day: string;
  readonly profile: readonly ProfileAnswer[] | null;
}

export interface QualityReport {
  readonly as_of: string;
  /** Given: all is judged over this day. Null: expectations over their own stretch up to now, profiles of today. */
  readonly day: string | null;
  readonly subjects: readonly SubjectAnswer[];
  /** Whether all expectations are met. */
  readonly met: boolean;
}

/** With the events that it refused, which are not among those that were judged. */
export function withRefused(judged: Judgement, refused: number): Judgement {
  if (refused === 0) return judged;
  const [samples, failing] = [judged.samples + refused, judged.failing + refused];
  return { ...judged, samples, failing, value: failing / samples, isMet: failing / samples <= judged.threshold };
}

export function answerJudgement(judged: Judgement, refused: number): ExpectationAnswer {
  const { name, column, expected, severity, measure, samples, failing, value, threshold, isMet, examples } = judged;
  return {
    name,
    column,
    expected,
    severity,
    from: formatMicros(judged.startMicros as Micros),
    to: formatMicros(judged.endMicros as Micros),
    measure,
    samples,
    failing,
    refused,
    value,
    threshold,
    met: isMet,
    examples,
  };
}

/** Nothing where there was nothing to judge. */
export function signalOf(subject: SignalSubject, judged: Judgement, refused: number): Signal[] {
  if (judged.value === null) return [];
  return [
    {
      kind: "expectation",
      subject: { ...subject, expectation: judged.name, ...(judged.column === null ? {} : { feature: judged.column }) },
      measure: judged.measure,
      value: judged.value,
      threshold: judged.threshold,
      isBeyond: !judged.isMet,
      pValue: null,
      samples: judged.samples,
      windowStartMicros: judged.startMicros,
      windowEndMicros: judged.endMicros,
      detail: {
        expected: judged.expected,
        severity: judged.severity,
        failing: judged.failing,
        refused,
        examples: judged.examples,
      },
    },
  ];
}

export function answerProfile(column: string, type: string, profile: ColumnProfile): ProfileAnswer {
  const bound = (value: number | null): number | string | null =>
    value !== null && type === "timestamp" ? formatMicros(value as Micros) : value;
  return {
    column,
    type,
    count: profile.rows,
    nulls: profile.nulls,
    null_ratio: profile.rows === 0 ? 0 : profile.nulls / profile.rows,
    non_finite: profile.nonFinite,
    mean: profile.mean,
    stddev: profile.stddev,
    min: bound(profile.min),
    max: bound(profile.max),
    quantiles: profile.quantiles.every((value) => value === null)
      ? null
      : Object.fromEntries(PROFILE_QUANTILES.map((q, i) => [quantileName(q), profile.quantiles[i]!])),
    quantile_error: profile.quantileError,
    top: profile.top,
    top_error: profile.topError,
    distinct: profile.distinct,
    distinct_error: profile.distinctError,
  };
}

/** `p05` of 0.05. */
export function quantileName(q: number): string {
  return `p${String(Math.round(q * 100)).padStart(2, "0")}`;
}
