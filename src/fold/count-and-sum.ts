/**
 * Counts, and sums that keep their rounding error.
 *
 * A sum is a pair (s, c): s adds the values in order and c collects what each addition rounded away
 * (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974).
 * For integers of the safe range both are exact, so s + c is the exact sum as long as that is safe.
 */
import type { Accumulator, Cells, Channel } from "./accumulator.ts";

/** One cell: the number of events that count for the channel. */
export class CountAccumulator implements Accumulator {
  readonly #cell: number;
  readonly #maskCell: number;
  readonly #bit: number;

  constructor(channel: Channel, cell: number) {
    this.#cell = cell;
    this.#maskCell = channel.maskCell;
    this.#bit = channel.bit;
  }

  clear(into: Cells, at: number): void {
    into.numbers[at + this.#cell] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) !== 0) into.numbers[at + this.#cell]! += 1;
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    into.numbers[at + this.#cell]! += from.numbers[fromAt + this.#cell]!;
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    let count = 0;
    for (let i = end - 1, p = i * stride + this.#maskCell; i >= begin; i--, p -= stride) {
      if ((numbers[p]! & bit) !== 0) count++;
    }
    into.numbers[this.#cell]! += count;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let count = into.numbers[this.#cell]!;
    for (let i = end - 1, p = i * stride + this.#cell; i >= begin; i--, p -= stride) count += numbers[p]!;
    into.numbers[this.#cell] = count;
  }
}

/** Two cells: s and c. */
export class SumAccumulator implements Accumulator {
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
    into.numbers[at + this.#cell] = 0;
    into.numbers[at + this.#cell + 1] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) === 0) return;
    const value = raw.numbers[rawAt + this.#inputCell]!;
    const cell = at + this.#cell;
    const sum = into.numbers[cell]!;
    const total = sum + value;
    into.numbers[cell] = total;
    into.numbers[cell + 1]! += roundedAway(sum, value, total);
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const cell = at + this.#cell;
    const fromCell = fromAt + this.#cell;
    const sum = into.numbers[cell]!;
    const value = from.numbers[fromCell]!;
    const total = sum + value;
    into.numbers[cell] = total;
    into.numbers[cell + 1] = into.numbers[cell + 1]! + from.numbers[fromCell + 1]! + roundedAway(sum, value, total);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    let sum = into.numbers[this.#cell]!;
    let correction = into.numbers[this.#cell + 1]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      const total = sum + value;
      correction += roundedAway(sum, value, total);
      sum = total;
    }
    into.numbers[this.#cell] = sum;
    into.numbers[this.#cell + 1] = correction;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let sum = into.numbers[this.#cell]!;
    let correction = into.numbers[this.#cell + 1]!;
    for (let i = end - 1, p = i * stride + this.#cell; i >= begin; i--, p -= stride) {
      const value = numbers[p]!;
      const total = sum + value;
      correction = correction + numbers[p + 1]! + roundedAway(sum, value, total);
      sum = total;
    }
    into.numbers[this.#cell] = sum;
    into.numbers[this.#cell + 1] = correction;
  }
}

/** What `sum + value` lost in rounding to `total`: exact for finite numbers, whichever is larger. */
export function roundedAway(sum: number, value: number, total: number): number {
  return Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum;
}

/** The sum a pair stands for. Where s is not finite, c is meaningless. */
export function sumOf(numbers: Float64Array, cell: number): number {
  const sum = numbers[cell]!;
  return Number.isFinite(sum) ? sum + numbers[cell + 1]! : sum;
}
