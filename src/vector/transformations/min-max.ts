/**
 * `minMax`: the train split's smallest value becomes `low`, its largest `high`; what lies outside of them
 * stays outside. A column that is constant there is only moved: its value becomes `low`.
 *
 * Where the values lie so far apart that their difference is past the largest float64, halves are taken, which
 * is exact; a range from `low` to `high` as wide as that is gone through from both its ends.
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
    const scale = Number.isFinite(most - least) ? 1 : 0.5;
    const range = least === most ? 1 : most * scale - least * scale;
    const width = high - low;
    const fractionOf = (value: number): number => (value * scale - least * scale) / range;
    if (Number.isFinite(width)) return (value) => finite(fractionOf(value as number) * width + low);
    return (value) => {
      const fraction = fractionOf(value as number);
      return finite(fraction * high + (1 - fraction) * low);
    };
  },
};
