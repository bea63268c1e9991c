/**
 * `impute`: what stands in for null, whatever the reason it is null.
 */
import { byFrequency } from "./category-counts.ts";
import { meanAndDeviation } from "./mean-and-deviation.ts";
import type { Operation, PresentValue } from "./operation.ts";
import { quantileOfSorted, sortedNumbers } from "./quantiles.ts";

type Fitted = { readonly value: string | number | boolean };

/** Its `apply` is called where there is no value. */
export const impute: Operation<"impute", Fitted | null> = {
  isFitted: (node) => node.by !== "value",
  fit: (node, values) => {
    if (node.by === "mean") return { value: meanAndDeviation(values as readonly number[]).mean };
    if (node.by === "median") return { value: quantileOfSorted(sortedNumbers(values as readonly number[]), 0.5) };
    return { value: byFrequency(values)[0]! };
  },
  compile: (node, fitted) => {
    const value = node.by === "value" ? (node.value as PresentValue) : fitted!.value;
    return () => value;
  },
};
