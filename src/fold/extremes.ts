/**
 * The smallest and the largest value. A NaN among the values, where its source lets it in, is the result.
 *
 * One cell, holding +Infinity (min) or -Infinity (max) where there is no value: whether there is one, the
 * channel's count tells.
 */
import type { Accumulator, Cells, Channel, Strides } from "./accumulator.ts";

export class MinAccumulator implements Accumulator {
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
    into.numbers[at + this.#cell] = Number.POSITIVE_INFINITY;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) === 0) return;
    const value = raw.numbers[rawAt + this.#inputCell]!;
    if (value < into.numbers[at + this.#cell]! || value !== value) into.numbers[at + this.#cell] = value;
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const value = from.numbers[fromAt + this.#cell]!;
    if (value < into.numbers[at + this.#cell]! || value !== value) into.numbers[at + this.#cell] = value;
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    let least = into.numbers[this.#cell]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      if (value < least || value !== value) least = value;
    }
    into.numbers[this.#cell] = least;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let least = into.numbers[this.#cell]!;
    for (let i = end - 1, p = i * stride + this.#cell; i >= begin; i--, p -= stride) {
      const value = numbers[p]!;
      if (value < least || value !== value) least = value;
    }
    into.numbers[this.#cell] = least;
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    const { stride, rawStride } = strides;
    const { numbers } = raw;
    const bit = this.#bit;
    const toInput = this.#inputCell - this.#maskCell;
    let to = first * stride + this.#cell;
    for (let p = begin * rawStride + this.#maskCell; p < end * rawStride; p += rawStride, to += stride) {
      into.numbers[to] = (numbers[p]! & bit) !== 0 ? numbers[p + toInput]! : Number.POSITIVE_INFINITY;
    }
  }

  mergeEach({ numbers }: Cells, pairs: readonly number[], { stride }: Strides): void {
    for (let i = 0; i < pairs.length; i += 2) {
      const cell = pairs[i]! * stride + this.#cell;
      const value = numbers[pairs[i + 1]! * stride + this.#cell]!;
      if (value < numbers[cell]! || value !== value) numbers[cell] = value;
    }
  }
}

export class MaxAccumulator implements Accumulator {
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
    into.numbers[at + this.#cell] = Number.NEGATIVE_INFINITY;
  }

  add(into: Cells, at: number, _objectAt: number, raw: Cells, rawAt: number): void {
    if ((raw.numbers[rawAt + this.#maskCell]! & this.#bit) === 0) return;
    const value = raw.numbers[rawAt + this.#inputCell]!;
    if (value > into.numbers[at + this.#cell]! || value !== value) into.numbers[at + this.#cell] = value;
  }

  mergeYounger(into: Cells, at: number, _objectAt: number, from: Cells, fromAt: number): void {
    const value = from.numbers[fromAt + this.#cell]!;
    if (value > into.numbers[at + this.#cell]! || value !== value) into.numbers[at + this.#cell] = value;
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = raw;
    const bit = this.#bit;
    const toMask = this.#maskCell - this.#inputCell;
    let most = into.numbers[this.#cell]!;
    for (let i = end - 1, p = i * stride + this.#inputCell; i >= begin; i--, p -= stride) {
      if ((numbers[p + toMask]! & bit) === 0) continue;
      const value = numbers[p]!;
      if (value > most || value !== value) most = value;
    }
    into.numbers[this.#cell] = most;
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number): void {
    const { numbers } = from;
    let most = into.numbers[this.#cell]!;
    for (let i = end - 1, p = i * stride + this.#cell; i >= begin; i--, p -= stride) {
      const value = numbers[p]!;
      if (value > most || value !== value) most = value;
    }
    into.numbers[this.#cell] = most;
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    const { stride, rawStride } = strides;
    const { numbers } = raw;
    const bit = this.#bit;
    const toInput = this.#inputCell - this.#maskCell;
    let to = first * stride + this.#cell;
    for (let p = begin * rawStride + this.#maskCell; p < end * rawStride; p += rawStride, to += stride) {
      into.numbers[to] = (numbers[p]! & bit) !== 0 ? numbers[p + toInput]! : Number.NEGATIVE_INFINITY;
    }
  }

  mergeEach({ numbers }: Cells, pairs: readonly number[], { stride }: Strides): void {
    for (let i = 0; i < pairs.length; i += 2) {
      const cell = pairs[i]! * stride + this.#cell;
      const value = numbers[pairs[i + 1]! * stride + this.#cell]!;
      if (value > numbers[cell]! || value !== value) numbers[cell] = value;
    }
  }
}
