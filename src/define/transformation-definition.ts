/** Transformations of a service's features as plain data: how each value of the vector that is no feature is computed. */
import type { Value, ValueType } from "../schema/value.ts";
import type { DefinedAt } from "./defined-at.ts";

/**
 * The user's own transformation of one value. `fit` sees the values of the train split in row order, without
 * nulls; what it returns is JSON data, stored as such, and never changed by `apply`. Both are pure.
 */
export interface CustomTransformation {
  readonly name: string;
  readonly output: ValueType;
  readonly fit?: (values: readonly unknown[]) => unknown;
  /** `value` is never null; `fitted` is what `fit` returned, null without one. */
  readonly apply: (value: unknown, fitted: unknown) => Value;
  readonly definedAt?: DefinedAt;
  /** Hash of the code and of the modules it reaches, once the loader has computed it. */
  readonly codeFingerprint?: string;
}

/** What becomes of a value that is none of the categories. */
export type Unseen = "other" | "zeros" | "null" | "error";

/** How categories are found: listed, or the `max` most frequent of the train split. */
interface Categories {
  readonly categories?: readonly Value[];
  readonly max?: number;
  readonly unseen: Unseen;
}

/** How one value of a vector is computed from features of its service. */
export type TransformationNode =
  | { readonly op: "input"; readonly feature: string }
  | {
      readonly op: "impute";
      readonly input: TransformationNode;
      readonly by: "mean" | "median" | "mostFrequent" | "value";
      /** Only, and always, by value. */
      readonly value?: Value;
    }
  | { readonly op: "standardize"; readonly input: TransformationNode }
  | { readonly op: "minMax"; readonly input: TransformationNode; readonly low: number; readonly high: number }
  | { readonly op: "log1p"; readonly input: TransformationNode }
  | { readonly op: "clip"; readonly input: TransformationNode; readonly low?: number; readonly high?: number }
  | { readonly op: "bucketize"; readonly input: TransformationNode; readonly boundaries: readonly number[] }
  | { readonly op: "quantileBins"; readonly input: TransformationNode; readonly bins: number }
  | ({ readonly op: "oneHot"; readonly input: TransformationNode } & Categories)
  | ({ readonly op: "ordinal"; readonly input: TransformationNode } & Categories)
  | { readonly op: "hashBucket"; readonly input: TransformationNode; readonly buckets: number }
  | { readonly op: "cross"; readonly inputs: readonly TransformationNode[]; readonly buckets: number }
  | { readonly op: "custom"; readonly input: TransformationNode; readonly custom: CustomTransformation };

/** A value of a service's vector that a transformation gives: in the place of the feature of its name, or behind all. */
export interface TransformationDefinition {
  readonly name: string;
  readonly type: ValueType;
  readonly node: TransformationNode;
}
