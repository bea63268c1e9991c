/**
 * Every transformation and what it promises: what docs/transformations.md is generated from.
 */
import type { TransformationNode } from "./transformation-definition.ts";
import {
  BINS_MAX,
  BUCKETS_MAX,
  ONE_HOT_DEFAULT,
  ONE_HOT_MAX,
  ORDINAL_DEFAULT,
  ORDINAL_MAX,
} from "./transformation-limits.ts";

export interface TransformationFacts {
  readonly call: string;
  readonly computes: string;
  /** What it needs; also what an error says of another input. */
  readonly takes: string;
  readonly result: string;
  /** What of the train split it remembers. */
  readonly fittedTo: string;
  /** What becomes of null, and of values that the train split did not have. */
  readonly ofNull: string;
  readonly ofUnseen: string;
}

const NULL = "null";
const NUMBER = "a number";
const CATEGORY = "a string, an int64 or a bool";
const NOTHING = "-";

export const TRANSFORMATION_TABLE: Readonly<Record<Exclude<TransformationNode["op"], "input">, TransformationFacts>> = {
  impute: {
    call: 'impute(x, "mean"), impute(x, "median"), impute(x, "mostFrequent"), impute(x, { value })',
    computes: "x, and where it is null the value that stands in for it; of equally frequent values the smallest",
    takes: `${NUMBER}; mostFrequent and value also a string or a bool`,
    result: "float64 by mean and median, else as x",
    fittedTo: "the value, but for one that is written down",
    ofNull: "the value",
    ofUnseen: "x",
  },
  standardize: {
    call: "standardize(x)",
    computes: "(x - mean) / standard deviation (of n, not n - 1); x - mean where all values are equal",
    takes: NUMBER,
    result: "float64",
    fittedTo: "mean, deviation",
    ofNull: NULL,
    ofUnseen: "as any other",
  },
  minMax: {
    call: "minMax(x, { low, high })",
    computes:
      "x moved so that the smallest value becomes `low` (0) and the largest `high` (1); all `low` where all values are equal",
    takes: NUMBER,
    result: "float64",
    fittedTo: "least, most",
    ofNull: NULL,
    ofUnseen: "outside of `low` and `high`: `clip` it where it must not be",
  },
  log1p: {
    call: "log1p(x)",
    computes: "log(1 + x), within 1 ulp",
    takes: NUMBER,
    result: "float64",
    fittedTo: NOTHING,
    ofNull: NULL,
    ofUnseen: "`ERROR` from -1 down",
  },
  clip: {
    call: "clip(x, { low, high })",
    computes: "`low` below it, `high` above it; one of them may be left out",
    takes: NUMBER,
    result: "as x",
    fittedTo: NOTHING,
    ofNull: NULL,
    ofUnseen: "as any other",
  },
  bucketize: {
    call: "bucketize(x, boundaries)",
    computes: "how many of the boundaries, which rise, are not above x",
    takes: NUMBER,
    result: "int64",
    fittedTo: NOTHING,
    ofNull: NULL,
    ofUnseen: "as any other",
  },
  quantileBins: {
    call: "quantileBins(x, { bins })",
    computes: `bucketize by the quantiles 1/bins, 2/bins, ..., but for those that would leave a bin empty; 2 to ${BINS_MAX} bins`,
    takes: NUMBER,
    result: "int64",
    fittedTo: "boundaries",
    ofNull: NULL,
    ofUnseen: "the first or the last bin",
  },
  oneHot: {
    call: "oneHot(x, { max, categories, unseen })",
    computes: `1 in the slot of the category, 0 in all others. Categories are those listed, in their order, or the \`max\` most frequent (${ONE_HOT_DEFAULT}; at most ${ONE_HOT_MAX}), equally frequent ones by value`,
    takes: CATEGORY,
    result: "array of float64",
    fittedTo: "categories, where none are listed",
    ofNull: NULL,
    ofUnseen: 'by `unseen`: a last slot ("other"), only zeros with no such slot ("zeros"), "null" or "error"',
  },
  ordinal: {
    call: "ordinal(x, { max, categories, unseen })",
    computes: `the number of the category from 0, in the order of oneHot; \`max\` is ${ORDINAL_DEFAULT}, at most ${ORDINAL_MAX}`,
    takes: CATEGORY,
    result: "int64",
    fittedTo: "categories, where none are listed",
    ofNull: NULL,
    ofUnseen: 'by `unseen`: the number behind the last ("other"), "null" or "error"',
  },
  hashBucket: {
    call: "hashBucket(x, { buckets })",
    computes: `the bucket from 0 that MurmurHash3 puts x in; 2 to ${BUCKETS_MAX} buckets`,
    takes: CATEGORY,
    result: "int64",
    fittedTo: NOTHING,
    ofNull: NULL,
    ofUnseen: "a bucket, which others share",
  },
  cross: {
    call: "cross([x, y, ...], { buckets })",
    computes: "hashBucket of several values together",
    takes: CATEGORY,
    result: "int64",
    fittedTo: NOTHING,
    ofNull: "null where one of them is",
    ofUnseen: "a bucket, which others share",
  },
  custom: {
    call: "customTransformation(name, { output, fit, apply })(x)",
    computes: "what its functions do; `ERROR` where `apply` throws or gives what is not of its type",
    takes: "anything",
    result: "as declared",
    fittedTo: "what its `fit` returns",
    ofNull: NULL,
    ofUnseen: "its own affair",
  },
};
