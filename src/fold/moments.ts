/**
 * Mean and sum of squared deviations, for variance and standard deviation.
 *
 * Adding one value: Welford, "Note on a method for calculating corrected sums of squares and products",
 * Technometrics 4(3), 1962. Merging, and the corrected two-pass algorithm for ranges: Chan, Golub, LeVeque,
 * "Algorithms for computing the sample variance", The American Statistician 37(3), 1983. Error of the
 * sample variance: within 1e-12 of the sum of squares divided by n - 1. Equal values give exactly 0.
 */
import type { Accumulator, Cells, Channel, Strides } from "./accumulator.ts";

/** Three cells: n, mean, M2. */
export class MomentsAccumulator implements Accumulator {
  readonly #cell: number;
  readonly #maskCell: number;
  readonly #bit: number;
  readonly #inputCell: number;

  constructor(channel: Channel, cell: number) {
    this.#cell = cell;
    this.#maskCell = channel.maskCell;
    this.#bit = channel.bit;
    this.#inputCell = channel.inputCell;
  }

  clear(into: Cells, at: number): void {
    const cell = at + this.#cell;
    into.numbers[cell] = 0;
    into.numbers[cell + 1] = 0;
    into.numbers[cell + 2] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) === 0) return;
    const { numbers } = into;
    const cell = at + this.#cell;
    const value = raw.numbers[rawAt + this.#inputCell]!;
    const count = numbers[cell]! + 1;
    const delta = value - numbers[cell + 1]!;
    const mean = numbers[cell + 1]! + delta / count;
    numbers[cell] = count;
    numbers[cell + 1] = mean;
    numbers[cell + 2]! += delta * (value - mean);
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const { numbers } = from;
    const cell = fromAt + this.#cell;
    if (numbers[cell] === 0) return;
    mergeMoments(into.numbers, at + this.#cell, numbers[cell]!, numbers[cell + 1]!, numbers[cell + 2]!);
  }

  /** Two passes: the mean, as a distance from one of the values, then the squares about it. */
  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    const newest = (end - 1) * stride + this.#inputCell;
    const oldest = begin * stride;
    let count = 0;
    let origin = 0;
    let distance = 0;
    for (let p = newest; p >= oldest; p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      if (count === 0) origin = numbers[p]!;
      distance += numbers[p]! - origin;
      count++;
    }
    if (count === 0) return;
    const mean = origin + distance / count;
    let squares = 0;
    let rest = 0;
    for (let p = newest; p >= oldest; p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const delta = numbers[p]! - mean;
      rest += delta;
      squares += delta * delta;
    }
    mergeMoments(into.numbers, this.#cell, count, mean, lessRest(squares, rest, count));
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    const newest = (end - 1) * stride + this.#cell;
    const oldest = begin * stride;
    let count = 0;
    let origin = 0;
    let distance = 0;
    for (let p = newest; p >= oldest; p -= stride) {
      const added = numbers[p]!;
      if (added === 0) continue;
      if (count === 0) origin = numbers[p + 1]!;
      distance += added * (numbers[p + 1]! - origin);
      count += added;
    }
    if (count === 0) return;
    const mean = origin + distance / count;
    let squares = 0;
    let rest = 0;
    for (let p = newest; p >= oldest; p -= stride) {
      const added = numbers[p]!;
      if (added === 0) continue;
      const delta = numbers[p + 1]! - mean;
      rest += added * delta;
      squares += numbers[p + 2]! + added * delta * delta;
    }
    mergeMoments(into.numbers, this.#cell, count, mean, lessRest(squares, rest, count));
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    const { stride, rawStride } = strides;
    for (let i = begin, at = first * stride; i < end; i++, at += stride) {
      this.clear(into, at);
      this.add(into, at, 0, raw, i * rawStride);
    }
  }

  mergeEach(groups: Cells, pairs: readonly number[], { stride }: Strides): void {
    for (let i = 0; i < pairs.length; i += 2) {
      this.mergeYounger(groups, pairs[i]! * stride, 0, groups, pairs[i + 1]! * stride);
    }
  }
}

/** Takes out of the squares what the mean's own rounding put in. They stay at least 0. */
function lessRest(squares: number, rest: number, count: number): number {
  return Math.max(0, squares - (rest * rest) / count);
}

/** Merges a group that is not empty. */
function mergeMoments(into: Float64Array, cell: number, added: number, mean: number, squares: number): void {
  const present = into[cell]!;
  if (present === 0) {
    into[cell] = added;
    into[cell + 1] = mean;
    into[cell + 2] = squares;
    return;
  }
  const count = present + added;
  const delta = mean - into[cell + 1]!;
  into[cell] = count;
  into[cell + 1]! += (delta * added) / count;
  into[cell + 2] = into[cell + 2]! + squares + delta * delta * ((present * added) / count);
}

/** Sample variance (n - 1), or null for fewer than two values. */
export function varianceOf(numbers: Float64Array, cell: number): number | null {
  const count = numbers[cell]!;
  return count < 2 ? null : numbers[cell + 2]! / (count - 1);
}
