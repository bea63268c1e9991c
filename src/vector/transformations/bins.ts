/**
 * `bucketize` and `quantileBins`: how many of a rising list of boundaries are not above x.
 *
 *     boundaries      0      15      60
 *     bin         0   |   1   |   2   |   3
 */
import { type Apply, type Operation, unfitted } from "./operation.ts";
import { quantileOfSorted, sortedNumbers } from "./quantiles.ts";

export const bucketize: Operation<"bucketize", null> = unfitted(({ boundaries }) => intoBins(boundaries));

/**
 * Boundaries are the quantiles 1/bins, 2/bins, ... of the train split, but for those that would leave a bin
 * empty there: few different values have fewer bins.
 */
export const quantileBins: Operation<"quantileBins", { readonly boundaries: readonly number[] }> = {
  isFitted: () => true,
  fit: ({ bins }, values) => {
    const sorted = sortedNumbers(values as readonly number[]);
    const boundaries: number[] = [];
    let below = 0;
    for (let i = 1; i < bins; i++) {
      const boundary = quantileOfSorted(sorted, i / bins);
      const before = below;
      while (sorted[below]! < boundary) below++;
      if (below > before) boundaries.push(boundary);
    }
    return { boundaries };
  },
  compile: (_, { boundaries }) => intoBins(boundaries),
};

function intoBins(boundaries: readonly number[]): Apply {
  const rising = Float64Array.from(boundaries);
  return (value) => {
    const number = value as number;
    if (number !== number) return undefined;
    let least = 0;
    let most = rising.length;
    while (least < most) {
      const middle = (least + most) >>> 1;
      if (rising[middle]! <= number) least = middle + 1;
      else most = middle;
    }
    return least;
  };
}
