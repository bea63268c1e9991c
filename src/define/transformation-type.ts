/**
 * The type of what a transformation computes, by the types of the features it reads.
 *
 * | transformation                  | of                         | computes                    |
 * |---------------------------------|----------------------------|-----------------------------|
 * | impute by mean or median        | int64, float64             | float64                     |
 * | impute by mostFrequent or value | numbers, string, bool      | the same                    |
 * | standardize minMax log1p        | int64, float64             | float64                     |
 * | clip                            | int64, float64             | the same                    |
 * | bucketize quantileBins          | int64, float64             | int64                       |
 * | oneHot                          | string, int64, bool        | array of float64            |
 * | ordinal hashBucket cross        | string, int64, bool        | int64                       |
 * | custom                          | any                        | what it declares            |
 */
import { nearestNames } from "../base/nearest-names.ts";
import { formatType, isNumeric, type Value, type ValueType } from "../schema/value.ts";
import type { TransformationNode } from "./transformation-definition.ts";
import { repeated } from "./source-problems.ts";
import { BINS_MAX, BUCKETS_MAX, ONE_HOT_MAX, ORDINAL_MAX } from "./transformation-limits.ts";
import { TRANSFORMATION_TABLE } from "./transformation-table.ts";
import { transformationText } from "./transformation-text.ts";

/** Features by name with their types. */
export type FeatureTypes = ReadonlyMap<string, ValueType>;

/** Thrown with a sentence that says which part of the transformation is wrong. */
class TransformationProblem extends Error {}

/** The type, or a sentence that says why there is none. */
export function transformationType(node: TransformationNode, features: FeatureTypes): ValueType | string {
  try {
    return typeOf(node, features);
  } catch (error) {
    if (error instanceof TransformationProblem) return error.message;
    throw error;
  }
}

const FLOAT64: ValueType = { name: "float64" };
const INT64: ValueType = { name: "int64" };

function typeOf(node: TransformationNode, features: FeatureTypes): ValueType {
  const inputOf = (
    input: TransformationNode,
    isFit: (type: ValueType) => boolean,
    needed: string = node.op === "input" ? "" : TRANSFORMATION_TABLE[node.op].takes,
  ): ValueType => {
    const type = typeOf(input, features);
    if (isFit(type)) return type;
    throw new TransformationProblem(
      `${node.op} needs ${needed}, ${input.op === "input" ? `feature "${input.feature}"` : transformationText(input)} is ${formatType(type)}`,
    );
  };
  switch (node.op) {
    case "input": {
      const type = features.get(node.feature);
      if (type !== undefined) return type;
      throw new TransformationProblem(unknownFeature(node.feature, features));
    }
    case "impute": {
      if (node.by === "mean" || node.by === "median") {
        inputOf(node.input, isNumeric, "a number");
        return FLOAT64;
      }
      const type = inputOf(node.input, isScalar, "a number, a string or a bool");
      if (node.by === "value") needs(isValueOf(node.value, type), `impute: ${show(node.value)} is no ${name(type)}`);
      else needs(node.by === "mostFrequent", `impute: ${show(node.by)} is none of mean, median, mostFrequent, value`);
      return type;
    }
    case "standardize":
    case "log1p":
      inputOf(node.input, isNumeric);
      return FLOAT64;
    case "minMax":
      inputOf(node.input, isNumeric);
      needs(
        isFinite(node.low) && isFinite(node.high) && node.low < node.high,
        `minMax: ${node.low} to ${node.high} is no range`,
      );
      return FLOAT64;
    case "clip": {
      const type = inputOf(node.input, isNumeric);
      const bounds = [node.low, node.high].filter((bound) => bound !== undefined);
      needs(bounds.length > 0, "clip needs low, high or both");
      for (const bound of bounds) needs(isValueOf(bound, type), `clip: ${show(bound)} is no ${name(type)}`);
      needs(bounds.length < 2 || bounds[0]! <= bounds[1]!, `clip: ${node.low} to ${node.high} is no range`);
      return type;
    }
    case "bucketize":
      inputOf(node.input, isNumeric);
      needsBoundaries(node.boundaries);
      return INT64;
    case "quantileBins":
      inputOf(node.input, isNumeric);
      needsWhole("quantileBins: bins", node.bins, 2, BINS_MAX);
      return INT64;
    case "oneHot":
    case "ordinal": {
      const type = inputOf(node.input, isCategory);
      needsCategories(node, type);
      return node.op === "oneHot" ? { name: "array", element: FLOAT64 } : INT64;
    }
    case "hashBucket":
      inputOf(node.input, isCategory);
      needsWhole("hashBucket: buckets", node.buckets, 2, BUCKETS_MAX);
      return INT64;
    case "cross":
      needs(node.inputs.length >= 2, "cross needs two features or more");
      for (const input of node.inputs) inputOf(input, isCategory);
      needsWhole("cross: buckets", node.buckets, 2, BUCKETS_MAX);
      return INT64;
    case "custom":
      typeOf(node.input, features);
      return node.custom.output;
    default:
      throw new TransformationProblem(`there is no transformation ${show((node as { op: unknown }).op)}`);
  }
}

/** "there is no ...", with the names that may have been meant. */
export function unknownFeature(feature: string, features: FeatureTypes): string {
  const near = nearestNames(feature, features.keys());
  const meant = near.length === 0 ? "" : `; did you mean ${near.map((one) => `"${one}"`).join(" or ")}?`;
  return `the service has no feature "${feature}"${meant}`;
}

function needsCategories(node: Extract<TransformationNode, { op: "oneHot" | "ordinal" }>, type: ValueType): void {
  const most = node.op === "oneHot" ? ONE_HOT_MAX : ORDINAL_MAX;
  const unseen = node.op === "oneHot" ? ["other", "zeros", "null", "error"] : ["other", "null", "error"];
  needs(unseen.includes(node.unseen), `${node.op}: unseen ${show(node.unseen)} is none of ${unseen.join(", ")}`);
  if (node.categories === undefined) {
    needsWhole(`${node.op}: max`, node.max, 1, most);
    return;
  }
  needs(node.max === undefined, `${node.op}: max says nothing where the categories are listed`);
  needs(
    Array.isArray(node.categories) && node.categories.length >= 1 && node.categories.length <= most,
    `${node.op}: there are 1 to ${most} categories`,
  );
  const [twice] = repeated(node.categories.map((one) => JSON.stringify(one)));
  needs(twice === undefined, `${node.op}: category ${twice} is there twice`);
  for (const one of node.categories) needs(isValueOf(one, type), `${node.op}: ${show(one)} is no ${name(type)}`);
}

function needsBoundaries(boundaries: readonly number[]): void {
  needs(Array.isArray(boundaries) && boundaries.length >= 1, "bucketize needs its boundaries, as in [0, 15, 60]");
  needs(
    boundaries.every((one, i) => isFinite(one) && (i === 0 || boundaries[i - 1]! < one)),
    `bucketize: ${show(boundaries)} are not numbers that rise`,
  );
}

function needsWhole(what: string, value: number | undefined, least: number, most: number): void {
  needs(
    Number.isSafeInteger(value) && value! >= least && value! <= most,
    `${what} is ${show(value)}, not a whole number from ${least} to ${most}`,
  );
}

function needs(holds: boolean, sentence: string): void {
  if (!holds) throw new TransformationProblem(sentence);
}

function isFinite(value: unknown): boolean {
  return Number.isFinite(value);
}

/** What categories are made of: values with an equality that is more than an accident of rounding. */
function isCategory(type: ValueType): boolean {
  return type.name === "string" || type.name === "int64" || type.name === "bool";
}

function isScalar(type: ValueType): boolean {
  return isCategory(type) || type.name === "float64";
}

function isValueOf(value: Value | undefined, type: ValueType): boolean {
  if (type.name === "bool") return typeof value === "boolean";
  if (type.name === "float64") return Number.isFinite(value);
  if (type.name === "int64" && type.wide !== true) return Number.isSafeInteger(value);
  return typeof value === "string";
}

function name(type: ValueType): string {
  return type.name === "int64" && type.wide === true ? "wide int64, which is decimal text" : formatType(type);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
