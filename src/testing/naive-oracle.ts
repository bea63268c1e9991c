/**
 * What a feature means, computed the stupid way: keep all events, and for each answer select, filter and
 * aggregate from scratch. Shares nothing with the fold but the evaluation of expressions.
 *
 * Sums are exact (integers as big integers, floats by Shewchuk's growing expansion); each answer says
 * how far a feature may lie from it.
 */
import type { SourceDefinition, ViewDefinition } from "../define/definition.ts";
import type { Aggregation, AggregationName, Window } from "../define/aggregation-definition.ts";
import { columnResolver, compilePredicate } from "../fold/expression.ts";
import type { FoldEvent, StatusName } from "../fold/view-fold.ts";
import type { Row, Value } from "../schema/value.ts";

export interface OracleAnswer {
  readonly value: Value;
  readonly status: StatusName;
  /** A number may differ by this much; 0 means to the bit. */
  readonly tolerance: number;
}

interface KeptEvent extends FoldEvent {
  /** min(eventTime, knownTime). */
  readonly time: number;
}

/** The events of one entity in one view. */
export class NaiveOracle {
  readonly #view: ViewDefinition;
  readonly #source: SourceDefinition;
  readonly #columns: readonly string[];
  readonly #predicates: readonly ((row: Row) => boolean)[];
  /** In order of (effective time, offset). */
  #events: KeptEvent[] = [];
  #lastOffset: number = Number.NEGATIVE_INFINITY;

  constructor(view: ViewDefinition, source: SourceDefinition) {
    this.#view = view;
    this.#source = source;
    const columns = [...source.columns, ...source.derived];
    this.#columns = columns.map((column) => column.name);
    const resolve = columnResolver(columns, source.name);
    this.#predicates = view.features.map(({ aggregation }) =>
      aggregation.where === undefined ? () => true : compilePredicate(aggregation.where, resolve),
    );
  }

  /** Takes the events in offset order. */
  add(event: FoldEvent): "folded" | "already-folded" | "poison" {
    if (event.offset <= this.#lastOffset) return "already-folded";
    const time = Math.min(event.eventTime, event.knownTime);
    try {
      this.#view.features.forEach(({ aggregation }, i) => {
        const holds = this.#predicates[i]!(event.row);
        const { custom } = aggregation;
        const input = inputOf(aggregation, event.row, this.#columns);
        if (holds && custom !== undefined && input !== null) custom.add(custom.empty(), input, time);
      });
    } catch {
      return "poison";
    }
    const { forgetAfterMicros } = this.#view;
    if (forgetAfterMicros !== undefined && time - this.lastEventTime > forgetAfterMicros) this.#events = [];
    const kept = { ...event, row: [...event.row], time };
    const behind = this.#events.findLastIndex((other) => other.time <= time) + 1;
    this.#events.splice(behind, 0, kept);
    this.#lastOffset = event.offset;
    return "folded";
  }

  get lastEventTime(): number {
    return this.#events.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
  }

  /** Effective time of the n-th newest event; -Infinity where there are fewer. */
  timeOfNewest(n: number): number {
    return this.#events.at(-n)?.time ?? Number.NEGATIVE_INFINITY;
  }

  /** The events of the session present at `asOf`, cut to `(asOf - max, asOf]`, in order of (effective time, offset). */
  session({ gapMicros, maxMicros }: Window & { readonly kind: "session" }, asOf: number): readonly { time: number }[] {
    return this.#sessionAt(gapMicros, maxMicros, asOf);
  }

  /** The answer at `asOf`; for a time window or session over `(windowStart, asOf]`, or as defined where not given. */
  read(featureIndex: number, asOf: number, windowStart?: number): OracleAnswer {
    const feature = this.#view.features[featureIndex]!;
    const ttlMicros = feature.ttlMicros ?? this.#view.ttlMicros ?? Number.POSITIVE_INFINITY;
    if (this.#events.length > 0 && asOf - this.lastEventTime > ttlMicros) {
      return { value: null, status: "OUTSIDE_MAX_AGE", tolerance: 0 };
    }
    const selected = this.#select(feature.aggregation, asOf, windowStart);
    const counted = selected.filter((event) => this.#predicates[featureIndex]!(event.row));
    const { value, tolerance, failed } = aggregate(feature.aggregation, counted, this.#columns, asOf);
    const isServable =
      typeof value !== "number" ||
      (feature.type.name === "float64"
        ? this.#source.allowNonFinite || Number.isFinite(value)
        : Number.isSafeInteger(value));
    if (this.#events.length === 0) return { value: value ?? feature.default ?? null, status: "NOT_FOUND", tolerance };
    if (failed === true || !isServable) return { value: null, status: "ERROR", tolerance: 0 };
    if (value === null) return { value: feature.default ?? null, status: "NULL_VALUE", tolerance: 0 };
    return { value, status: "PRESENT", tolerance };
  }

  /** The events that a feature's window covers, before its predicate, in order of (effective time, offset). */
  #select({ over }: Aggregation, asOf: number, windowStart: number | undefined): KeptEvent[] {
    const events = this.#events;
    if (over === undefined) return events;
    if (over.kind === "last") return events.slice(-over.events);
    if (over.kind === "session") {
      const session = this.#sessionAt(over.gapMicros, over.maxMicros, asOf);
      return session.filter((event) => event.time > (windowStart ?? Number.NEGATIVE_INFINITY));
    }
    const start = windowStart ?? asOf - over.micros;
    return events.filter((event) => event.time > start && event.time <= asOf);
  }

  #sessionAt(gapMicros: number, maxMicros: number, asOf: number): KeptEvent[] {
    const inReach = this.#events.filter((event) => event.time > asOf - maxMicros && event.time <= asOf);
    const endsBefore = inReach.findLastIndex((event, i) => (inReach[i + 1]?.time ?? asOf) - event.time > gapMicros);
    return inReach.slice(endsBefore + 1);
  }
}

interface Aggregated {
  readonly value: Value;
  readonly tolerance: number;
  readonly failed?: boolean;
}

function aggregate(
  aggregation: Aggregation,
  events: KeptEvent[],
  columns: readonly string[],
  asOf: number,
): Aggregated {
  const { fn, column } = aggregation;
  if (fn === "custom") return aggregateCustom(aggregation, events, columns, asOf);
  if (fn === "timeSinceLast" || fn === "rate") return timing(aggregation, events, columns, asOf);
  if (fn === "countSessions") return sessionsOf(aggregation, events, columns);
  if (column === undefined) return exactly(events.length);
  const inputs = events
    .map((event) => inputOf(aggregation, event.row, columns) as Value)
    .filter((value) => value !== null);
  if (fn === "count") return exactly(inputs.length);
  if (SUMMARIES.has(fn)) return summarize(aggregation, events, inputs, columns, asOf);
  if (inputs.length === 0) return exactly(null);
  if (fn === "first") return exactly(inputs[0]!);
  if (fn === "last") return exactly(inputs.at(-1)!);
  const numbers = inputs as number[];
  const hasNaN = numbers.some((value) => Number.isNaN(value));
  if (fn === "min") return exactly(hasNaN ? Number.NaN : numbers.reduce((a, b) => (b < a ? b : a)));
  if (fn === "max") return exactly(hasNaN ? Number.NaN : numbers.reduce((a, b) => (b > a ? b : a)));
  if (fn === "sum") return sumOf(numbers);
  if (fn === "mean") {
    const sum = sumOf(numbers);
    const mean = (sum.value as number) / numbers.length;
    return { value: mean, tolerance: sum.tolerance / numbers.length };
  }
  return spreadOf(numbers, fn === "stddev");
}

/** Exact for whole numbers; for others within 1e-12 of the sum of absolute values. */
function sumOf(numbers: readonly number[]): Aggregated {
  if (numbers.every((value) => Number.isSafeInteger(value))) {
    const sum = numbers.reduce((total, value) => total + BigInt(value), 0n);
    return exactly(Number(sum));
  }
  if (!numbers.every(Number.isFinite)) return exactly(numbers.reduce((total, value) => total + value, 0));
  const absolute = exactSum(numbers.map(Math.abs));
  return { value: exactSum(numbers), tolerance: 1e-12 * absolute };
}

/** Sample variance or its root; the variance within 1e-12 of the sum of squares over n - 1. */
function spreadOf(numbers: readonly number[], asRoot: boolean): Aggregated {
  const count = numbers.length;
  if (count < 2) return exactly(null);
  if (!numbers.every(Number.isFinite)) return exactly(Number.NaN);
  const mean = exactSum(numbers) / count;
  const variance = exactSum(numbers.map((value) => (value - mean) * (value - mean))) / (count - 1);
  const tolerance = (1e-12 * exactSum(numbers.map((value) => value * value))) / (count - 1);
  if (!asRoot) return { value: variance, tolerance };
  // where the variance may be off by e, its root v may be off by e / v, and by no more than the root of e
  const root = Math.sqrt(variance);
  return { value: root, tolerance: Math.min(Math.sqrt(tolerance), tolerance / root) + 1e-15 * root };
}

/** Shewchuk, "Adaptive precision floating-point arithmetic", 1997: partial sums that do not overlap. */
function exactSum(numbers: readonly number[]): number {
  let partials: number[] = [];
  for (const number of numbers) {
    const next: number[] = [];
    let x = number;
    for (const y of partials) {
      const [large, small] = Math.abs(x) < Math.abs(y) ? [y, x] : [x, y];
      const high = large + small;
      const low = small - (high - large);
      if (low !== 0) next.push(low);
      x = high;
    }
    next.push(x);
    partials = next;
  }
  return partials.reduce((total, partial) => total + partial, 0);
}

function aggregateCustom(
  aggregation: Aggregation,
  events: KeptEvent[],
  columns: readonly string[],
  asOf: number,
): Aggregated {
  const { custom } = aggregation;
  let state = custom!.empty();
  for (const event of events) {
    const input = inputOf(aggregation, event.row, columns);
    if (input !== null) state = custom!.add(state, input, event.time);
  }
  try {
    return exactly(custom!.read(state, asOf));
  } catch {
    return { value: null, tolerance: 0, failed: true };
  }
}

/** The column's value, or the row as an object where no column is named. */
function inputOf({ column }: Aggregation, row: Row, columns: readonly string[]): Value | Record<string, Value> {
  if (column !== undefined) return row[columns.indexOf(column)] ?? null;
  return Object.fromEntries(columns.map((name, i) => [name, row[i] ?? null]));
}

function exactly(value: Value): Aggregated {
  return { value: typeof value === "number" ? value + 0 : value, tolerance: 0 };
}

const SUMMARIES: ReadonlySet<AggregationName> = new Set([
  "firstK",
  "lastK",
  "countDistinct",
  "topK",
  "topCounts",
  "topOther",
  "histogram",
  "quantile",
  "ewma",
  "decayedSum",
]);

function timing(aggregation: Aggregation, events: KeptEvent[], columns: readonly string[], asOf: number): Aggregated {
  const counted = events.filter((event) => inputOf(aggregation, event.row, columns) !== null);
  if (aggregation.fn === "rate") {
    const { over } = aggregation;
    return exactly(counted.length / ((over?.kind === "time" ? over.micros : Number.NaN) / 1e6));
  }
  return exactly(counted.length === 0 ? null : (asOf - counted.at(-1)!.time) / 1e6);
}

/** One session, and one more for each gap between two events that follow each other. */
function sessionsOf(aggregation: Aggregation, events: KeptEvent[], columns: readonly string[]): Aggregated {
  const counted = events.filter((event) => inputOf(aggregation, event.row, columns) !== null);
  const gap = aggregation.parameters!.gapMicros!;
  return exactly(counted.filter((event, i) => i === 0 || event.time - counted[i - 1]!.time > gap).length);
}

/** `inputs` are the values that are not null, in order of (effective time, offset). */
function summarize(
  aggregation: Aggregation,
  events: KeptEvent[],
  inputs: readonly Value[],
  columns: readonly string[],
  asOf: number,
): Aggregated {
  const { fn, parameters = {} } = aggregation;
  const { k = 0, q = 0, halfLifeMicros = 1, categories = [] } = parameters;
  if (fn === "countDistinct") {
    const distinct = new Set(inputs.map((value) => JSON.stringify(plain(value)))).size;
    // five standard errors of HyperLogLog with 2048 registers
    return { value: distinct, tolerance: distinct > 256 ? 5 * (1.04 / Math.sqrt(2048)) * distinct : 0 };
  }
  if (fn === "histogram") {
    const counts = categories.map((category) => inputs.filter((value) => value === category).length);
    return exactly([...counts, inputs.filter((value) => !categories.includes(value)).length]);
  }
  if (inputs.length === 0) return exactly(fn === "topOther" ? 0 : null);
  if (fn === "firstK") return exactly(inputs.slice(0, k));
  if (fn === "lastK") return exactly(inputs.slice(-k));
  if (fn === "topK" || fn === "topCounts" || fn === "topOther") {
    const timesOf = (wanted: Value): number => inputs.filter((value) => value === wanted).length;
    const ranked = [...new Set(inputs)].sort((a, b) => timesOf(b) - timesOf(a) || (a! < b! ? -1 : 1));
    const top = ranked.slice(0, k);
    if (fn === "topOther") return exactly(inputs.filter((value) => !top.includes(value)).length);
    return exactly(fn === "topK" ? top : top.map(timesOf));
  }
  if (fn === "quantile") {
    const ascending = (inputs as number[]).toSorted((a, b) => a - b);
    const value = ascending[Math.floor(q * (ascending.length - 1))]!;
    // in more than 1024 bins, of which there may be one a value, the error of 1/129 doubles
    const error = ascending.length > 1024 ? 2 / 129 : ascending.length > 128 ? 1 / 129 : 0;
    return { value: value + 0, tolerance: error * (1 + 1e-9) * Math.abs(value) };
  }
  const weighted = events.flatMap((event) => {
    const value = inputOf(aggregation, event.row, columns) as number | null;
    return value === null ? [] : [{ value, time: event.time }];
  });
  const reference = fn === "ewma" ? weighted.at(-1)!.time : asOf;
  const weights = weighted.map(({ time }) => 0.5 ** ((reference - time) / halfLifeMicros));
  const terms = weighted.map(({ value }, i) => value * weights[i]!);
  const total = fn === "ewma" ? exactSum(weights) : 1;
  return {
    value: exactSum(terms) / total,
    tolerance: (1e-11 * exactSum(terms.map(Math.abs))) / total + Number.MIN_VALUE * 1e16,
  };
}

/** Bytes as numbers, so that equal ones are equal as text. */
function plain(value: Value): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}
