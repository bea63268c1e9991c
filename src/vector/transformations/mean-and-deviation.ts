/**
 * Mean and standard deviation of a column, in two passes with sums that keep their rounding error.
 *
 * Values are scaled by a power of two, which is exact, so that neither sums nor squares leave the range of a
 * float64 whatever the column holds. The order of additions is that of the rows.
 */
import { roundedAway } from "../../fold/count-and-sum.ts";

export interface MeanAndDeviation {
  readonly mean: number;
  /** Root of the mean squared distance from the mean (n, not n - 1); 0 exactly where all values are equal. */
  readonly deviation: number;
}

/** At least one value, all of them finite. */
export function meanAndDeviation(values: readonly number[]): MeanAndDeviation {
  let low = values[0]!;
  let high = low;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === high) return { mean: low + 0, deviation: 0 };
  const scale = powerOfTwoNear(Math.max(-low, high));
  const mean = compensatedSum(values, (value) => value / scale) / values.length;
  const squares = compensatedSum(values, (value) => {
    const distance = value / scale - mean;
    return distance * distance;
  });
  return { mean: mean * scale + 0, deviation: Math.sqrt(squares / values.length) * scale };
}

function compensatedSum(values: readonly number[], term: (value: number) => number): number {
  let sum = 0;
  let correction = 0;
  for (const value of values) {
    const next = term(value);
    const total = sum + next;
    correction += roundedAway(sum, next, total);
    sum = total;
  }
  return sum + correction;
}

/** The power of two with x / 2 < power <= x; for x > 0. */
function powerOfTwoNear(x: number): number {
  let power = 1;
  while (power > x) power /= 2;
  while (power <= x / 2) power *= 2;
  return power;
}
