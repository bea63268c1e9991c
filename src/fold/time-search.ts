/** Where a time falls among records that lie in its order, one behind the other in an array of cells. */

/** Place of the first record in [low, high) whose time, in cell `cell` of its `stride`, is later; `high` where none is. */
export function firstLater(
  numbers: Float64Array,
  stride: number,
  cell: number,
  low: number,
  high: number,
  time: number,
): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (numbers[middle * stride + cell]! > time) to = middle;
    else from = middle + 1;
  }
  return from;
}
