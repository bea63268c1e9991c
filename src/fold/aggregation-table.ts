/**
 * Every aggregation and what it promises: what `docs/aggregations.md` is generated from.
 */
import { CATEGORIES_MAX, LIST_LENGTH_MAX, TOP_LENGTH_MAX } from "../define/aggregation-parameters.ts";
import type { AggregationName } from "../define/aggregation-definition.ts";
import { DISTINCT_ERROR, DISTINCT_REGISTERS, EXACT_DISTINCT_MAX } from "./distinct-values.ts";
import { EXACT_QUANTILE_MAX, QUANTILE_BINS_MAX, QUANTILE_ERROR } from "./quantile-sketch.ts";
import { SESSIONS_OPEN_MAX } from "./session-counts.ts";
import { TOP_COUNTED_MAX, TOP_ERROR_MAX } from "./top-values.ts";

export interface AggregationFacts {
  readonly call: string;
  readonly computes: string;
  /** Types of the column it takes. */
  readonly takes: string;
  readonly result: string;
  readonly windows: string;
  /** Of one group of events: a lifetime, or a merged bucket of a window. */
  readonly state: string;
  /** Up to where it is exact, and by how much it may be off past that. */
  readonly exactness: string;
  /** What it is of no events. */
  readonly ofNothing: string;
}

const ANY = "any";
const NUMBER = "int64, float64";
const ALL_WINDOWS = "none, time, last n, session";
const percent = (share: number): string => `${(share * 100).toPrecision(2)}%`;

export const AGGREGATION_TABLE: Readonly<Record<AggregationName, AggregationFacts>> = {
  count: {
    call: "count(), count(col)",
    computes: "number of events; with a column, of those where it is not null",
    takes: ANY,
    result: "int64",
    windows: ALL_WINDOWS,
    state: "8 B",
    exactness: "exact",
    ofNothing: "0",
  },
  sum: {
    call: "sum(col)",
    computes: "sum, with its rounding error kept (Neumaier)",
    takes: NUMBER,
    result: "as the column",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "int64 exact, ERROR outside the safe range; float64 within 1e-12 of the sum of absolute values",
    ofNothing: "null",
  },
  mean: {
    call: "mean(col)",
    computes: "arithmetic mean",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "as sum",
    ofNothing: "null",
  },
  min: {
    call: "min(col)",
    computes: "smallest number, earliest time",
    takes: `${NUMBER}, timestamp`,
    result: "as the column",
    windows: ALL_WINDOWS,
    state: "16 B",
    exactness: "exact",
    ofNothing: "null",
  },
  max: {
    call: "max(col)",
    computes: "largest number, latest time",
    takes: `${NUMBER}, timestamp`,
    result: "as the column",
    windows: ALL_WINDOWS,
    state: "16 B",
    exactness: "exact",
    ofNothing: "null",
  },
  variance: {
    call: "variance(col)",
    computes: "sample variance (n - 1)",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "within 1e-12 of the sum of squares over n - 1",
    ofNothing: "null, of one value too",
  },
  stddev: {
    call: "stddev(col)",
    computes: "root of the variance",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "as variance",
    ofNothing: "null, of one value too",
  },
  first: {
    call: "first(col)",
    computes: "earliest value by effective time",
    takes: ANY,
    result: "as the column",
    windows: ALL_WINDOWS,
    state: "16 B, or 8 B and the value",
    exactness: "exact",
    ofNothing: "null",
  },
  last: {
    call: "last(col), column(col)",
    computes: "latest value by effective time",
    takes: ANY,
    result: "as the column",
    windows: ALL_WINDOWS,
    state: "16 B, or 8 B and the value",
    exactness: "exact",
    ofNothing: "null",
  },
  firstK: {
    call: "firstK(col, k)",
    computes: `the earliest k values, oldest first; k from 1 to ${LIST_LENGTH_MAX}`,
    takes: ANY,
    result: "array of it",
    windows: ALL_WINDOWS,
    state: "k times 9 B and the value",
    exactness: "exact",
    ofNothing: "null",
  },
  lastK: {
    call: "lastK(col, k)",
    computes: `the latest k values, oldest first; k from 1 to ${LIST_LENGTH_MAX}`,
    takes: ANY,
    result: "array of it",
    windows: ALL_WINDOWS,
    state: "k times 9 B and the value",
    exactness: "exact",
    ofNothing: "null",
  },
  countDistinct: {
    call: "countDistinct(col)",
    computes: "number of different values (HyperLogLog)",
    takes: ANY,
    result: "int64",
    windows: ALL_WINDOWS,
    state: `9 B a value, at most ${9 * EXACT_DISTINCT_MAX} B; then ${DISTINCT_REGISTERS} B`,
    exactness: `exact to ${EXACT_DISTINCT_MAX}; then a standard error of ${percent(DISTINCT_ERROR)}`,
    ofNothing: "0",
  },
  topK: {
    call: "topK(col, k)",
    computes: `the k most frequent values, most frequent first, ties by value (Misra-Gries); k from 1 to ${TOP_LENGTH_MAX}`,
    takes: "string, int64",
    result: "array of it",
    windows: ALL_WINDOWS,
    state: `at most ${TOP_COUNTED_MAX} times 9 B and the value`,
    exactness: `exact to ${TOP_COUNTED_MAX} different values; then counts may be too small by ${percent(TOP_ERROR_MAX)} of all events`,
    ofNothing: "null",
  },
  topCounts: {
    call: "topCounts(col, k)",
    computes: "how many events had each of the values of topK(col, k), in their order",
    takes: "string, int64",
    result: "array of int64",
    windows: ALL_WINDOWS,
    state: "that of topK, shared with it",
    exactness: "as topK",
    ofNothing: "null",
  },
  topOther: {
    call: "topOther(col, k)",
    computes: "how many events had a value that is not among topK(col, k)",
    takes: "string, int64",
    result: "int64",
    windows: ALL_WINDOWS,
    state: "that of topK, shared with it",
    exactness: "as topK; too large by no more than the k counts are too small",
    ofNothing: "0",
  },
  histogram: {
    call: "histogram(col, { categories })",
    computes: `how many events had each category, in their order, then how many another value; at most ${CATEGORIES_MAX} categories`,
    takes: "string, int64, bool",
    result: "array of int64",
    windows: ALL_WINDOWS,
    state: "9 B a category",
    exactness: "exact",
    ofNothing: "zeros",
  },
  quantile: {
    call: "quantile(col, q)",
    computes: "the value at rank floor(q (n - 1)) in ascending order (DDSketch)",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: `9 B a value, at most ${9 * EXACT_QUANTILE_MAX} B; then at most ${QUANTILE_BINS_MAX} times 18 B`,
    exactness: `exact to ${EXACT_QUANTILE_MAX} values; then within ${percent(QUANTILE_ERROR)} of it, twice that for each time ${QUANTILE_BINS_MAX} bins did not do`,
    ofNothing: "null",
  },
  ewma: {
    call: "ewma(col, { halfLife })",
    computes: "mean in which a value weighs half after one half-life",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "within 1e-11 of the weighted mean of absolute values",
    ofNothing: "null",
  },
  decayedSum: {
    call: "decayedSum(col, { halfLife })",
    computes: "sum at asOf in which a value weighs half after one half-life",
    takes: NUMBER,
    result: "float64",
    windows: ALL_WINDOWS,
    state: "24 B",
    exactness: "within 1e-11 of the weighted sum of absolute values",
    ofNothing: "null",
  },
  timeSinceLast: {
    call: "timeSinceLast(), timeSinceLast(col)",
    computes: "seconds from the last event, or the last where the column is not null, to asOf",
    takes: ANY,
    result: "float64, seconds",
    windows: ALL_WINDOWS,
    state: "16 B",
    exactness: "exact to the microsecond",
    ofNothing: "null",
  },
  rate: {
    call: "rate(), rate(col)",
    computes: "events a second: the count over the window's length",
    takes: ANY,
    result: "float64",
    windows: "time",
    state: "8 B",
    exactness: "exact",
    ofNothing: "0",
  },
  countSessions: {
    call: "countSessions({ gap })",
    computes: "number of sessions: runs of events in which none comes more than the gap behind the one before",
    takes: ANY,
    result: "int64",
    windows: ALL_WINDOWS,
    state: `18 B a session, at most ${18 * SESSIONS_OPEN_MAX} B`,
    exactness: `exact, but an event later than the newest ${SESSIONS_OPEN_MAX} sessions of its group may make it wrong by one`,
    ofNothing: "0",
  },
  custom: {
    call: "custom(name, functions)",
    computes: "what its functions do",
    takes: "any, or whole rows",
    result: "as declared",
    windows: "none; with merge: time, last n, session",
    state: "its JSON text",
    exactness: "its own affair",
    ofNothing: "what its read gives of its empty state",
  },
};
