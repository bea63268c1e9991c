/**
 * Sums and means in which a value counts less the older it is: half after one half-life.
 *
 *     decayedSum = sum of v_i 2^(-(asOf - t_i) / H)        ewma = decayedSum / (the same sum with v_i = 1)
 *
 * (Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay: a practical time decay model for streaming systems",
 * ICDE 2009, section on backward exponential decay.) Weights of an exponential multiply, so a group of events is
 * kept as it stands at a reference time, its newest effective time: adding or merging brings the older side
 * to the newer reference with one multiplication. A read brings it to asOf; in the mean that factor cancels.
 *
 * Three cells: reference time (-Infinity of no events), weighted sum, sum of weights. Merging is associative
 * up to rounding: within 1e-11 of the weighted sum of absolute values over any number of events an entity
 * has within 50 half-lives; older ones weigh less than 1e-15.
 */
import {
  type Accumulator,
  type Cells,
  type Channel,
  mergeOneByOne,
  startOneByOne,
  type Strides,
} from "./accumulator.ts";
import { halvings } from "./exp2.ts";

export class DecayedAccumulator implements Accumulator {
  readonly #cell: number;
  readonly #channel: Channel;
  readonly #halfLife: number;

  constructor(channel: Channel, halfLifeMicros: number, cell: number) {
    this.#channel = channel;
    this.#halfLife = halfLifeMicros;
    this.#cell = cell;
  }

  clear(into: Cells, at: number): void {
    const cell = at + this.#cell;
    into.numbers[cell] = Number.NEGATIVE_INFINITY;
    into.numbers[cell + 1] = 0;
    into.numbers[cell + 2] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    const { maskCell, bit, inputCell } = this.#channel;
    if ((raw.numbers[rawAt + maskCell]! & bit) === 0) return;
    this.#join(into.numbers, at + this.#cell, raw.numbers[rawAt]!, raw.numbers[rawAt + inputCell]!, 1);
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const cell = fromAt + this.#cell;
    const time = from.numbers[cell]!;
    if (time === Number.NEGATIVE_INFINITY) return;
    this.#join(into.numbers, at + this.#cell, time, from.numbers[cell + 1]!, from.numbers[cell + 2]!);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    for (let i = end - 1; i >= begin; i--) this.add(into, 0, 0, raw, i * stride);
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    for (let i = end - 1; i >= begin; i--) this.mergeYounger(into, 0, 0, from, i * stride);
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }

  /** Takes up a sum and its weight as they stand at `time`. */
  #join(numbers: Float64Array, cell: number, time: number, sum: number, weight: number): void {
    const reference = numbers[cell]!;
    if (time >= reference) {
      const factor = reference === Number.NEGATIVE_INFINITY ? 0 : halvings((time - reference) / this.#halfLife);
      numbers[cell] = time;
      numbers[cell + 1] = numbers[cell + 1]! * factor + sum;
      numbers[cell + 2] = numbers[cell + 2]! * factor + weight;
    } else {
      const factor = halvings((reference - time) / this.#halfLife);
      numbers[cell + 1]! += sum * factor;
      numbers[cell + 2]! += weight * factor;
    }
  }
}

/** null of no events. */
export function decayedSumAt(numbers: Float64Array, cell: number, asOf: number, halfLifeMicros: number): number | null {
  const reference = numbers[cell]!;
  if (reference === Number.NEGATIVE_INFINITY) return null;
  return numbers[cell + 1]! * halvings((asOf - reference) / halfLifeMicros);
}

/** null of no events. The newest event weighs 1 at the reference, so the weights are never 0. */
export function decayedMean(numbers: Float64Array, cell: number): number | null {
  if (numbers[cell] === Number.NEGATIVE_INFINITY) return null;
  return numbers[cell + 1]! / numbers[cell + 2]!;
}
