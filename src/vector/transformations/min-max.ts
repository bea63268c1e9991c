/**
 * `minMax`: the train split's smallest value becomes `low`, its largest `high`; what lies outside of them
 * stays outside. A column that is constant there is only moved: its value becomes `low`.
 */
import { finite, type Operation } from "./operation.ts";

export const minMax: Operation<"minMax", { readonly least: number; readonly most: number }> = {
  isFitted: () => true,
  fit: (_, values) => {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (const value of values as readonly number[]) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return { least: least + 0, most: most + 0 };
  },
  compile: ({ low, high }, { least, most }) => {
    const range = least === most ? 1 : most - least;
    const width = high - low;
    return (value) => finite((((value as number) - least) / range) * width + low);
  },
};
