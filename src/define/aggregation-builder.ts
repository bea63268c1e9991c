/** The aggregations that features are written with: `sum("amount").over("1h").where(col("country").eq("DE"))`. */
import { OnefoldError } from "../base/errors.ts";
import { parseDuration } from "../base/micros.ts";
import type { AggregationName, AggregationParameters } from "./aggregation-definition.ts";
import { Feature, type Nulls } from "./feature-builder.ts";
import { frozen } from "./frozen.ts";
import { checkOptions } from "./shape.ts";
import type { ArrayOfColumn, DurationText, OfColumn } from "./typing.ts";

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
