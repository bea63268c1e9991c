/**
 * `standardize`: (x - mean) / deviation. A column that is constant in the train split is only centred.
 */
import { meanAndDeviation } from "./mean-and-deviation.ts";
import { finite, type Operation } from "./operation.ts";

export const standardize: Operation<"standardize", { readonly mean: number; readonly deviation: number }> = {
  isFitted: () => true,
  fit: (_, values) => ({ ...meanAndDeviation(values as readonly number[]) }),
  compile: (_, { mean, deviation }) => {
    const divisor = deviation === 0 ? 1 : deviation;
    return (value) => finite(((value as number) - mean) / divisor);
  },
};
