/**
 * What the parameters of an aggregation may be.
 */
import type { ValueType } from "../schema/value.ts";
import type { Aggregation, AggregationName, AggregationParameters } from "./aggregation-definition.ts";

/** The longest list of `firstK` and `lastK`; and of `topK` and what goes with it, which counts only so many. */
export const LIST_LENGTH_MAX = 1000;
export const TOP_LENGTH_MAX = 64;
export const CATEGORIES_MAX = 256;

type ParameterName = keyof AggregationParameters;

const TAKES: Partial<Record<AggregationName, ParameterName>> = {
  firstK: "k",
  lastK: "k",
  topK: "k",
  topCounts: "k",
  topOther: "k",
  quantile: "q",
  ewma: "halfLifeMicros",
  decayedSum: "halfLifeMicros",
  histogram: "categories",
  countSessions: "gapMicros",
};

/** A sentence that says what is wrong with an aggregation's parameters; undefined where nothing is. */
export function parameterProblem(
  { fn, parameters = {} }: Aggregation,
  input: ValueType | undefined,
): string | undefined {
  const wanted = TAKES[fn];
  const other = Object.keys(parameters).find((name) => name !== wanted);
  if (other !== undefined) return `${fn} has no parameter ${other}`;
  if (wanted === undefined) return undefined;
  const { k, q, halfLifeMicros, gapMicros, categories } = parameters;
  switch (wanted) {
    case "k": {
      const most = fn.startsWith("top") ? TOP_LENGTH_MAX : LIST_LENGTH_MAX;
      return isWhole(k, 1, most) ? undefined : `${fn}: k is ${k}, not a whole number from 1 to ${most}`;
    }
    case "q":
      return typeof q === "number" && q >= 0 && q <= 1 ? undefined : `quantile: q is ${q}, not a number from 0 to 1`;
    case "halfLifeMicros":
      return isWhole(halfLifeMicros, 1, Number.MAX_SAFE_INTEGER)
        ? undefined
        : `${fn}: halfLife is ${halfLifeMicros}, not a positive whole number of microseconds`;
    case "gapMicros":
      return isWhole(gapMicros, 1, Number.MAX_SAFE_INTEGER)
        ? undefined
        : `${fn}: gap is ${gapMicros}, not a positive whole number of microseconds`;
    case "categories":
      return categoriesProblem(categories, input);
  }
}

function categoriesProblem(
  categories: AggregationParameters["categories"],
  input: ValueType | undefined,
): string | undefined {
  if (!Array.isArray(categories) || categories.length < 1 || categories.length > CATEGORIES_MAX) {
    return `histogram needs 1 to ${CATEGORIES_MAX} categories`;
  }
  if (new Set(categories).size < categories.length) return "histogram: a category is there twice";
  const isWide = input?.name === "int64" && input.wide === true;
  const wanted = input?.name === "bool" ? "boolean" : input?.name === "int64" && !isWide ? "number" : "string";
  const wrong: unknown = categories.find((one) => typeof one !== wanted);
  return wrong === undefined ? undefined : `histogram: category ${JSON.stringify(wrong)} is not a ${wanted}`;
}

function isWhole(value: number | undefined, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value! >= least && value! <= most;
}
