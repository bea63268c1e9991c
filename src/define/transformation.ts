/**
 * Transformations of features as they are written in a service:
 *
 *     transform: {
 *       mean_delay_1h: standardize(log1p(impute("mean_delay_1h", "median"))),
 *       carrier_code: oneHot("carrier", { max: 50 }),
 *     }
 *
 * Each takes the name of a feature of the service or another transformation. Null stays null but for
 * `impute`. What is fitted, and to what, stands in docs/transformations.md.
 */
import { OnefoldError } from "../base/errors.ts";
import { callSite } from "./defined-at.ts";
import type { TransformationNode, Unseen } from "./transformation-definition.ts";
import { frozen } from "./frozen.ts";
import { checkOptions } from "./shape.ts";
import { ONE_HOT_DEFAULT, ORDINAL_DEFAULT } from "./transformation-limits.ts";
import { type NeedsOf, type NullsOf, type Operand, Transformation, type ValueOf } from "./transformation-typing.ts";

/** A number, null where its input is or where it is not finite. */
type NumberOf<T> = Transformation<NeedsOf<T, "number">, number, true>;
/** A whole number, null where its input is. */
type BinOf<T> = Transformation<NeedsOf<T, "number">, number, NullsOf<T>>;
type ClassOfLiteral<L> = L extends number ? "number" : L extends string ? "string" : "bool";

/**
 * Replaces null, for whatever reason it is null, by what the train split has: the mean, the median or the most
 * frequent value (the smallest of several); or by a value that is written down.
 */
export function impute<const T extends Operand>(
  input: T,
  by: "mean" | "median",
): Transformation<NeedsOf<T, "number">, number, never>;
export function impute<const T extends Operand>(
  input: T,
  by: "mostFrequent",
): Transformation<NeedsOf<T, "category">, ValueOf<T>, never>;
export function impute<const T extends Operand, L extends number | string | boolean>(
  input: T,
  by: { readonly value: L },
): Transformation<NeedsOf<T, ClassOfLiteral<L>>, ValueOf<T>, never>;
export function impute(
  input: Operand,
  by: "mean" | "median" | "mostFrequent" | { readonly value: number | string | boolean },
): Transformation {
  return made(
    typeof by === "object" && by !== null
      ? { op: "impute", input: operandNode(impute, input), by: "value", value: by.value }
      : { op: "impute", input: operandNode(impute, input), by },
  );
}

/** (x - mean) / standard deviation (n, not n - 1), both of the train split; where that is constant, x - mean. */
export function standardize<const T extends Operand>(input: T): NumberOf<T> {
  return made({ op: "standardize", input: operandNode(standardize, input) });
}

/** Moves the train split's smallest value to `low` and its largest to `high`: 0 and 1. What lies outside stays outside. */
export function minMax<const T extends Operand>(
  input: T,
  options: { readonly low?: number; readonly high?: number } = {},
): NumberOf<T> {
  checkOptions(minMax, options, ["low", "high"]);
  const { low = 0, high = 1 } = options;
  return made({ op: "minMax", input: operandNode(minMax, input), low, high });
}

/** log(1 + x); an ERROR where x <= -1. */
export function log1p<const T extends Operand>(input: T): NumberOf<T> {
  return made({ op: "log1p", input: operandNode(log1p, input) });
}

/** Below `low` it is `low`, above `high` it is `high`. */
export function clip<const T extends Operand>(
  input: T,
  bounds: { readonly low: number; readonly high?: number } | { readonly low?: number; readonly high: number },
): Transformation<NeedsOf<T, "number">, ValueOf<T>, NullsOf<T>> {
  checkOptions(clip, bounds, ["low", "high"]);
  const { low, high } = bounds;
  return made({
    op: "clip",
    input: operandNode(clip, input),
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
  });
}

/** How many of the boundaries, which rise, are not above x: 0 below the first, as many as there are from the last on. */
export function bucketize<const T extends Operand>(input: T, boundaries: readonly number[]): BinOf<T> {
  return made({ op: "bucketize", input: operandNode(bucketize, input), boundaries });
}

/** `bucketize` with boundaries that split the train split into `bins` parts of equal size, as far as its values allow. */
export function quantileBins<const T extends Operand>(input: T, options: { readonly bins: number }): BinOf<T> {
  checkOptions(quantileBins, options, ["bins"]);
  return made({ op: "quantileBins", input: operandNode(quantileBins, input), bins: options.bins });
}

type Chosen<U extends Unseen> =
  | {
      /** The most frequent so many of the train split. */
      readonly max?: number;
      readonly categories?: never;
      /** What becomes of other values. Default "other". */
      readonly unseen?: U;
    }
  | {
      /** These, in this order: nothing is fitted. */
      readonly categories: readonly (string | number | boolean)[];
      readonly max?: never;
      readonly unseen?: U;
    };

/** A value's null: where its input is null, and for an unseen category where that is so declared. */
type CategoryNulls<T, U> = [U] extends ["other" | "zeros"] ? NullsOf<T> : true;

/**
 * A list with 1 in the slot of the category and 0 in all others. Categories stand by falling frequency in the
 * train split, equals by value; at most `max` (100). A value that is none of them has a last slot of its own
 * ("other"), or only zeros, is null, or an ERROR.
 */
export function oneHot<const T extends Operand, const U extends Unseen = "other">(
  input: T,
  options: Chosen<U> = {},
): Transformation<NeedsOf<T, "category">, readonly (number | null)[], CategoryNulls<T, U>> {
  checkOptions(oneHot, options, ["max", "categories", "unseen"]);
  return made({ op: "oneHot", input: operandNode(oneHot, input), ...chosen(options, ONE_HOT_DEFAULT) });
}

/**
 * The number of the category, from 0, in the order of `oneHot`; at most `max` (10,000). A value that is none of
 * them has the number behind the last ("other"), is null, or an ERROR.
 */
export function ordinal<const T extends Operand, const U extends Exclude<Unseen, "zeros"> = "other">(
  input: T,
  options: Chosen<U> = {},
): Transformation<NeedsOf<T, "category">, number, CategoryNulls<T, U>> {
  checkOptions(ordinal, options, ["max", "categories", "unseen"]);
  return made({ op: "ordinal", input: operandNode(ordinal, input), ...chosen(options, ORDINAL_DEFAULT) });
}

/** The bucket, from 0, that a fixed hash (MurmurHash3) puts the value in: every value has one, seen before or not. */
export function hashBucket<const T extends Operand>(
  input: T,
  options: { readonly buckets: number },
): Transformation<NeedsOf<T, "category">, number, NullsOf<T>> {
  checkOptions(hashBucket, options, ["buckets"]);
  return made({ op: "hashBucket", input: operandNode(hashBucket, input), buckets: options.buckets });
}

/** `hashBucket` of several values together: a category for each combination. */
export function cross<const T extends readonly Operand[]>(
  inputs: T,
  options: { readonly buckets: number },
): Transformation<NeedsOf<T[number], "category">, number, NullsOf<T[number]>> {
  checkOptions(cross, options, ["buckets"]);
  const { buckets } = options;
  return made({ op: "cross", inputs: inputs.map((input) => operandNode(cross, input)), buckets });
}

function chosen<U extends Unseen>(
  { categories, max, unseen }: Chosen<U>,
  maxByDefault: number,
): { readonly categories?: readonly (string | number | boolean)[]; readonly max?: number; readonly unseen: Unseen } {
  const how =
    categories === undefined ? { max: max ?? maxByDefault } : { categories, ...(max === undefined ? {} : { max }) };
  return { ...how, unseen: unseen ?? "other" };
}

function made(node: TransformationNode): Transformation<any, any, any> {
  return new Transformation(frozen(node) as TransformationNode);
}

/** The data of an operand. Throws `DEFINITION_INVALID` for what is neither a name nor a transformation. */
export function operandNode(callee: (...args: never[]) => unknown, input: unknown): TransformationNode {
  if (typeof input === "string") return { op: "input", feature: input };
  if (input instanceof Transformation) return input.node;
  const at = callSite(callee);
  throw new OnefoldError(
    "DEFINITION_INVALID",
    `${callee.name} takes the name of a feature of its service, or another transformation`,
    at === undefined ? {} : { where: `${at.file}:${at.line}` },
  );
}
