/**
 * What a column's values of one day look like, in a bounded room: counts, mean and deviation, quantiles, most frequent and
 * different values. Profiles of parts merge into that of the whole; the sketches are the fold's own
 * (docs/aggregations.md has their errors).
 *
 * Numbers have all of it; a bool counts as 0 and 1, a list as its length. Of a time only its bounds are told beside the
 * counts: what is relative to the year 1970 says nothing of it. NaN and infinities are counted and otherwise left out.
 */
import { DISTINCT_VALUES, distinctCount, distinctError, type DistinctState } from "../../fold/distinct-values.ts";
import { addCounted, quantileError, quantileOf, QUANTILES, type QuantileState } from "../../fold/quantile-sketch.ts";
import { TOP_VALUES, topCounts, topError, type TopState, topValues } from "../../fold/top-values.ts";
import type { Value, ValueType } from "../../schema/value.ts";

export const PROFILE_QUANTILES: readonly number[] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
const TOP_SHOWN = 10;
/** Texts that are the same to here count as one: a sketch holds some hundred of them. */
const TEXT_LENGTH_MAX = 256;

/** Plain JSON data. */
export interface ColumnSketch {
  rows: number;
  nulls: number;
  nonFinite: number;
  /** Of the values that count as numbers: how many, their mean, the sum of squared deviations (Chan et al. 1983). */
  moments: [count: number, mean: number, squares: number];
  min: number | null;
  max: number | null;
  quantiles: QuantileState;
  top: TopState;
  /** Hashes, or registers as base64. */
  distinct: number[] | string;
}

export interface ColumnProfile {
  readonly rows: number;
  readonly nulls: number;
  /** NaN and infinities, where the source allows them. */
  readonly nonFinite: number;
  readonly mean: number | null;
  /** Of a sample: n - 1. */
  readonly stddev: number | null;
  /** Times as microseconds. */
  readonly min: number | null;
  readonly max: number | null;
  /** In the order of `PROFILE_QUANTILES`. */
  readonly quantiles: readonly (number | null)[];
  /** Relative error of each quantile; 0 while they are exact. */
  readonly quantileError: number;
  readonly top: readonly { readonly value: Value; readonly count: number }[];
  /** By what share of all values a count may be too small; 0 while they are exact. */
  readonly topError: number;
  readonly distinct: number;
  /** Relative standard error; 0 while it is exact. */
  readonly distinctError: number;
}

export function emptySketch(): ColumnSketch {
  return {
    rows: 0,
    nulls: 0,
    nonFinite: 0,
    moments: [0, 0, 0],
    min: null,
    max: null,
    quantiles: QUANTILES.empty(),
    top: TOP_VALUES.empty(),
    distinct: [],
  };
}

/** Adds values, each with how many rows have it. */
export function addValues(
  sketch: ColumnSketch,
  type: ValueType,
  values: Iterable<readonly [value: Value, rows: number]>,
): void {
  const counts = new Map<Value, number>();
  let distinct = distinctState(sketch);
  for (const [value, rows] of values) {
    sketch.rows += rows;
    if (value === null) {
      sketch.nulls += rows;
      continue;
    }
    const number = numberOf(value, type);
    if (number !== null && !Number.isFinite(number)) {
      sketch.nonFinite += rows;
      continue;
    }
    if (number !== null) addNumber(sketch, number, rows, type);
    const counted = countedAs(value);
    distinct = DISTINCT_VALUES.add(distinct, counted, 0);
    counts.set(counted, (counts.get(counted) ?? 0) + rows);
  }
  const all = [...counts.values()].reduce((sum, rows) => sum + rows, 0);
  const top: TopState = [all, 0, [...counts.keys()], [...counts.values()]];
  sketch.distinct = plainDistinct(distinct);
  sketch.top = mergedTop(sketch.top, top);
}

/** Adds all that `other` has; changes nothing of it. */
export function mergeSketch(sketch: ColumnSketch, other: ColumnSketch): void {
  sketch.rows += other.rows;
  sketch.nulls += other.nulls;
  sketch.nonFinite += other.nonFinite;
  addMoments(sketch.moments, other.moments);
  if (other.min !== null) sketch.min = Math.min(sketch.min ?? other.min, other.min);
  if (other.max !== null) sketch.max = Math.max(sketch.max ?? other.max, other.max);
  sketch.quantiles = QUANTILES.merge(sketch.quantiles, other.quantiles);
  sketch.top = mergedTop(sketch.top, other.top);
  sketch.distinct = plainDistinct(DISTINCT_VALUES.merge(distinctState(sketch), distinctState(other)));
}

export function profileOf(sketch: ColumnSketch): ColumnProfile {
  const [count, mean, squares] = sketch.moments;
  const top = (topValues(sketch.top, TOP_SHOWN) ?? []) as readonly Value[];
  const counts = (topCounts(sketch.top, TOP_SHOWN) ?? []) as readonly number[];
  const distinct = distinctState(sketch);
  return {
    rows: sketch.rows,
    nulls: sketch.nulls,
    nonFinite: sketch.nonFinite,
    mean: count === 0 ? null : mean,
    stddev: count < 2 ? null : Math.sqrt(squares / (count - 1)),
    min: sketch.min,
    max: sketch.max,
    quantiles: PROFILE_QUANTILES.map((q) => (count === 0 ? null : (quantileOf(sketch.quantiles, q) as number | null))),
    quantileError: quantileError(sketch.quantiles),
    top: top.map((value, i) => ({ value, count: counts[i]! })),
    topError: topError(sketch.top),
    distinct: distinctCount(distinct) as number,
    distinctError: distinctError(distinct),
  };
}

/** With a place for each value at hand: one by one it would be sought among all. */
function mergedTop(older: TopState, younger: TopState): TopState {
  const gathering = TOP_VALUES.gather!();
  gathering.merge(older);
  gathering.merge(younger);
  return gathering.result();
}

function addNumber(sketch: ColumnSketch, number: number, rows: number, type: ValueType): void {
  sketch.min = sketch.min === null ? number : Math.min(sketch.min, number);
  sketch.max = sketch.max === null ? number : Math.max(sketch.max, number);
  if (type.name === "timestamp") return;
  addMoments(sketch.moments, [rows, number, 0]);
  addCounted(sketch.quantiles, number, rows);
}

function addMoments(into: ColumnSketch["moments"], [added, mean, squares]: ColumnSketch["moments"]): void {
  if (added === 0) return;
  const count = into[0] + added;
  const delta = mean - into[1];
  into[2] += squares + delta * delta * ((into[0] * added) / count);
  into[1] += (delta * added) / count;
  into[0] = count;
}

function numberOf(value: Value, type: ValueType): number | null {
  if (type.name === "array") return (value as readonly Value[]).length;
  if (typeof value === "boolean") return Number(value);
  return typeof value === "number" ? value : null;
}

/** As it is told apart and shown: bytes as base64, a list as JSON, a long text by its beginning. */
function countedAs(value: Value): Value {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  const shown = Array.isArray(text) ? JSON.stringify(text) : text;
  return typeof shown === "string" && shown.length > TEXT_LENGTH_MAX ? shown.slice(0, TEXT_LENGTH_MAX) : shown;
}

function distinctState({ distinct }: ColumnSketch): DistinctState {
  return typeof distinct === "string" ? new Uint8Array(Buffer.from(distinct, "base64")) : distinct;
}

function plainDistinct(state: DistinctState): ColumnSketch["distinct"] {
  return state instanceof Uint8Array ? Buffer.from(state).toString("base64") : state;
}
