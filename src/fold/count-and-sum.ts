/**
 * Counts, and sums that keep their rounding error.
 *
 * A sum is a pair (s, c): s adds the values in order and c collects what each addition rounded away
 * (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974).
 * For integers of the safe range both are exact, so s + c is the exact sum as long as that is safe.
 */
import {
  type Accumulator,
  type Cells,
  type Channel,
  mergeOneByOne,
  startOneByOne,
  type Strides,
} from "./accumulator.ts";

/** One cell: the number of events that count for the channel. */
export class CountAccumulator implements Accumulator {
  readonly channel: Channel;
  readonly cell: number;
  readonly #maskCell: number;
  readonly #bit: number;

  constructor(channel: Channel, cell: number) {
    this.channel = channel;
    this.cell = cell;
    this.#maskCell = channel.maskCell;
    this.#bit = channel.bit;
  }

  clear(into: Cells, at: number): void {
    into.numbers[at + this.cell] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) !== 0) into.numbers[at + this.cell]! += 1;
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    into.numbers[at + this.cell]! += from.numbers[fromAt + this.cell]!;
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    let count = 0;
    for (let i = end - 1, p = i * stride + this.#maskCell; i >= begin; i--, p -= stride) {
      if ((numbers[p]! & bit) !== 0) count++;
    }
    into.numbers[this.cell]! += count;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let count = into.numbers[this.cell]!;
    for (let i = end - 1, p = i * stride + this.cell; i >= begin; i--, p -= stride) count += numbers[p]!;
    into.numbers[this.cell] = count;
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    const { stride, rawStride } = strides;
    const { numbers } = raw;
    const bit = this.#bit;
    let to = first * stride + this.cell;
    for (let p = begin * rawStride + this.#maskCell; p < end * rawStride; p += rawStride, to += stride) {
      into.numbers[to] = (numbers[p]! & bit) !== 0 ? 1 : 0;
    }
  }

  mergeEach({ numbers }: Cells, pairs: readonly number[], { stride }: Strides): void {
    const cell = this.cell;
    for (let i = 0; i < pairs.length; i += 2) {
      numbers[pairs[i]! * stride + cell]! += numbers[pairs[i + 1]! * stride + cell]!;
    }
  }
}

/** Two cells: s and c. Every sum has a count beside it, which `CountAndSumAccumulator` joins it with. */
export class SumAccumulator implements Accumulator {
  readonly channel: Channel;
  readonly cell: number;
  readonly #maskCell: number;
  readonly #bit: number;
  readonly #inputCell: number;

  constructor(channel: Channel, cell: number) {
    this.channel = channel;
    this.cell = cell;
    this.#maskCell = channel.maskCell;
    this.#bit = channel.bit;
    this.#inputCell = channel.inputCell;
  }

  clear(into: Cells, at: number): void {
    into.numbers[at + this.cell] = 0;
    into.numbers[at + this.cell + 1] = 0;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) === 0) return;
    const value = raw.numbers[rawAt + this.#inputCell]!;
    const cell = at + this.cell;
    const sum = into.numbers[cell]!;
    const total = sum + value;
    into.numbers[cell] = total;
    into.numbers[cell + 1]! += roundedAway(sum, value, total);
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const cell = at + this.cell;
    const fromCell = fromAt + this.cell;
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
    let sum = into.numbers[this.cell]!;
    let correction = into.numbers[this.cell + 1]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      const total = sum + value;
      correction += roundedAway(sum, value, total);
      sum = total;
    }
    into.numbers[this.cell] = sum;
    into.numbers[this.cell + 1] = correction;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let sum = into.numbers[this.cell]!;
    let correction = into.numbers[this.cell + 1]!;
    for (let i = end - 1, p = i * stride + this.cell; i >= begin; i--, p -= stride) {
      const value = numbers[p]!;
      const total = sum + value;
      correction = correction + numbers[p + 1]! + roundedAway(sum, value, total);
      sum = total;
    }
    into.numbers[this.cell] = sum;
    into.numbers[this.cell + 1] = correction;
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }
}

/**
 * A count and a sum over the same channel, as sums and means need them: in one pass what the two would do in
 * two, to the bit.
 */
export class CountAndSumAccumulator implements Accumulator {
  readonly #count: CountAccumulator;
  readonly #sum: SumAccumulator;
  readonly #countCell: number;
  readonly #sumCell: number;
  readonly #maskCell: number;
  readonly #bit: number;
  readonly #inputCell: number;

  constructor(count: CountAccumulator, sum: SumAccumulator) {
    this.#count = count;
    this.#sum = sum;
    this.#countCell = count.cell;
    this.#sumCell = sum.cell;
    this.#maskCell = sum.channel.maskCell;
    this.#bit = sum.channel.bit;
    this.#inputCell = sum.channel.inputCell;
  }

  clear(into: Cells, at: number): void {
    this.#count.clear(into, at);
    this.#sum.clear(into, at);
  }

  add(into: Cells, at: number, objectAt: number, raw: Cells, rawAt: number): void {
    this.#count.add(into, at, objectAt, raw, rawAt);
    this.#sum.add(into, at, objectAt, raw, rawAt);
  }

  mergeYounger(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number): void {
    this.#count.mergeYounger(into, at, objectAt, from, fromAt);
    this.#sum.mergeYounger(into, at, objectAt, from, fromAt);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    let count = 0;
    let sum = into.numbers[this.#sumCell]!;
    let correction = into.numbers[this.#sumCell + 1]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      const total = sum + value;
      correction += roundedAway(sum, value, total);
      sum = total;
      count++;
    }
    into.numbers[this.#countCell]! += count;
    into.numbers[this.#sumCell] = sum;
    into.numbers[this.#sumCell + 1] = correction;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    const toCount = this.#countCell - this.#sumCell;
    let count = into.numbers[this.#countCell]!;
    let sum = into.numbers[this.#sumCell]!;
    let correction = into.numbers[this.#sumCell + 1]!;
    for (let i = end - 1, p = i * stride + this.#sumCell; i >= begin; i--, p -= stride) {
      const value = numbers[p]!;
      const total = sum + value;
      correction = correction + numbers[p + 1]! + roundedAway(sum, value, total);
      sum = total;
      count += numbers[p + toCount]!;
    }
    into.numbers[this.#countCell] = count;
    into.numbers[this.#sumCell] = sum;
    into.numbers[this.#sumCell + 1] = correction;
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    const { stride, rawStride } = strides;
    const { numbers } = raw;
    const bit = this.#bit;
    const toInput = this.#inputCell - this.#maskCell;
    const toCount = this.#countCell - this.#sumCell;
    let to = first * stride + this.#sumCell;
    for (let p = begin * rawStride + this.#maskCell; p < end * rawStride; p += rawStride, to += stride) {
      const counts = (numbers[p]! & bit) !== 0;
      const value = counts ? numbers[p + toInput]! : 0;
      const total = 0 + value;
      into.numbers[to] = total;
      into.numbers[to + 1] = roundedAway(0, value, total);
      into.numbers[to + toCount] = counts ? 1 : 0;
    }
  }

  mergeEach({ numbers }: Cells, pairs: readonly number[], { stride }: Strides): void {
    const toCount = this.#countCell - this.#sumCell;
    for (let i = 0; i < pairs.length; i += 2) {
      const cell = pairs[i]! * stride + this.#sumCell;
      const fromCell = pairs[i + 1]! * stride + this.#sumCell;
      const sum = numbers[cell]!;
      const value = numbers[fromCell]!;
      const total = sum + value;
      numbers[cell] = total;
      numbers[cell + 1] = numbers[cell + 1]! + numbers[fromCell + 1]! + roundedAway(sum, value, total);
      numbers[cell + toCount]! += numbers[fromCell + toCount]!;
    }
  }
}

/** The same accumulators, a count and a sum over one channel as one. */
export function joinCountsAndSums(accumulators: readonly Accumulator[]): Accumulator[] {
  const counts = new Map<Channel, CountAccumulator>();
  for (const accumulator of accumulators) {
    if (accumulator instanceof CountAccumulator) counts.set(accumulator.channel, accumulator);
  }
  const joined = new Set<Accumulator>();
  const result = accumulators.map((accumulator) => {
    const count = accumulator instanceof SumAccumulator ? counts.get(accumulator.channel) : undefined;
    if (count === undefined) return accumulator;
    joined.add(count);
    return new CountAndSumAccumulator(count, accumulator as SumAccumulator);
  });
  return result.filter((accumulator) => !joined.has(accumulator));
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
