/**
 * Mean and sum of squared deviations, for variance and standard deviation.
 *
 * Adding one value: Welford, "Note on a method for calculating corrected sums of squares and products",
 * Technometrics 4(3), 1962. Merging: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979. Error of the sample variance: within 1e-12 of the sum of squares
 * divided by n - 1.
 */
import { type Accumulator, type Cells, type Channel } from "./accumulator.ts";

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
    mergeMoments(into.numbers, at + this.#cell, from.numbers, fromAt + this.#cell);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    const cell = this.#cell;
    let count = into.numbers[cell]!;
    let mean = into.numbers[cell + 1]!;
    let squares = into.numbers[cell + 2]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      const delta = value - mean;
      count += 1;
      mean += delta / count;
      squares += delta * (value - mean);
    }
    into.numbers[cell] = count;
    into.numbers[cell + 1] = mean;
    into.numbers[cell + 2] = squares;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    for (let i = end - 1; i >= begin; i--) {
      mergeMoments(into.numbers, this.#cell, from.numbers, i * stride + this.#cell);
    }
  }
}

function mergeMoments(into: Float64Array, cell: number, from: Float64Array, fromCell: number): void {
  const added = from[fromCell]!;
  if (added === 0) return;
  const present = into[cell]!;
  if (present === 0) {
    into[cell] = added;
    into[cell + 1] = from[fromCell + 1]!;
    into[cell + 2] = from[fromCell + 2]!;
    return;
  }
  const count = present + added;
  const delta = from[fromCell + 1]! - into[cell + 1]!;
  into[cell] = count;
  into[cell + 1]! += (delta * added) / count;
  into[cell + 2] = into[cell + 2]! + from[fromCell + 2]! + delta * delta * ((present * added) / count);
}

/** Sample variance (n - 1), or null for fewer than two values. */
export function varianceOf(numbers: Float64Array, cell: number): number | null {
  const count = numbers[cell]!;
  return count < 2 ? null : numbers[cell + 2]! / (count - 1);
}
