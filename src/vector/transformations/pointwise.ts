/**
 * Transformations of a number that know nothing of other numbers: `log1p` and `clip`.
 */
import { log1p as logarithm } from "./log1p.ts";
import { finite, type Operation, unfitted } from "./operation.ts";

export const log1p: Operation<"log1p", null> = unfitted(() => (value) => finite(logarithm(value as number)));

export const clip: Operation<"clip", null> = unfitted(
  ({ low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY }) =>
    (value) => {
      const number = value as number;
      return finite(number < low ? low : number > high ? high : number);
    },
);
