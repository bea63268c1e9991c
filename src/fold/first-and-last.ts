/**
 * The first and the last value by (effective time, offset).
 *
 * A time cell and a value cell, the latter among the numbers or among the objects. No offset is kept:
 * events are added in offset order, so at equal times the one added later is the later one. Without a
 * value the time of `first` is +Infinity and that of `last` -Infinity.
 */
import {
  type Accumulator,
  type Cells,
  type Channel,
  mergeOneByOne,
  startOneByOne,
  type Strides,
} from "./accumulator.ts";

/** Whether values are kept among the numbers or among the objects. */
export type ValueKind = "number" | "object";

/** Whether an accumulator has an object cell, which holds a value or null. */
export function keepsObject(accumulator: Accumulator): boolean {
  const isEnd = accumulator instanceof FirstAccumulator || accumulator instanceof LastAccumulator;
  return isEnd && accumulator.kind === "object";
}

export class FirstAccumulator implements Accumulator {
  readonly #cell: number;
  readonly #objectCell: number;
  readonly #channel: Channel;
  readonly kind: ValueKind;

  constructor(channel: Channel, kind: ValueKind, cell: number, objectCell: number) {
    this.#channel = channel;
    this.kind = kind;
    this.#cell = cell;
    this.#objectCell = objectCell;
  }

  clear(into: Cells, at: number, objectAt: number): void {
    into.numbers[at + this.#cell] = Number.POSITIVE_INFINITY;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = 0;
    else into.objects[objectAt + this.#objectCell] = null;
  }

  add(into: Cells, at: number, objectAt: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    const { maskCell, bit, inputCell } = this.#channel;
    if ((raw.numbers[rawAt + maskCell]! & bit) === 0) return;
    const time = raw.numbers[rawAt]!;
    if (time >= into.numbers[at + this.#cell]!) return;
    into.numbers[at + this.#cell] = time;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = raw.numbers[rawAt + inputCell]!;
    else into.objects[objectAt + this.#objectCell] = raw.objects[rawObjectAt + inputCell];
  }

  mergeYounger(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number, fromObjectAt: number): void {
    if (into.numbers[at + this.#cell] === Number.POSITIVE_INFINITY) {
      this.#copy(into, at, objectAt, from, fromAt, fromObjectAt);
    }
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    const { maskCell, bit, inputCell } = this.#channel;
    for (let i = begin; i < end; i++) {
      const at = i * stride;
      if ((raw.numbers[at + maskCell]! & bit) === 0) continue;
      into.numbers[this.#cell] = raw.numbers[at]!;
      if (this.kind === "number") into.numbers[this.#cell + 1] = raw.numbers[at + inputCell]!;
      else into.objects[this.#objectCell] = raw.objects[i * objectStride + inputCell];
      return;
    }
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    for (let i = begin; i < end; i++) {
      if (from.numbers[i * stride + this.#cell] === Number.POSITIVE_INFINITY) continue;
      this.#copy(into, 0, 0, from, i * stride, i * objectStride);
      return;
    }
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }

  #copy(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number, fromObjectAt: number): void {
    into.numbers[at + this.#cell] = from.numbers[fromAt + this.#cell]!;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = from.numbers[fromAt + this.#cell + 1]!;
    else into.objects[objectAt + this.#objectCell] = from.objects[fromObjectAt + this.#objectCell];
  }
}

export class LastAccumulator implements Accumulator {
  readonly #cell: number;
  readonly #objectCell: number;
  readonly #channel: Channel;
  readonly kind: ValueKind;

  constructor(channel: Channel, kind: ValueKind, cell: number, objectCell: number) {
    this.#channel = channel;
    this.kind = kind;
    this.#cell = cell;
    this.#objectCell = objectCell;
  }

  clear(into: Cells, at: number, objectAt: number): void {
    into.numbers[at + this.#cell] = Number.NEGATIVE_INFINITY;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = 0;
    else into.objects[objectAt + this.#objectCell] = null;
  }

  add(into: Cells, at: number, objectAt: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    const { maskCell, bit, inputCell } = this.#channel;
    if ((raw.numbers[rawAt + maskCell]! & bit) === 0) return;
    const time = raw.numbers[rawAt]!;
    if (time < into.numbers[at + this.#cell]!) return;
    into.numbers[at + this.#cell] = time;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = raw.numbers[rawAt + inputCell]!;
    else into.objects[objectAt + this.#objectCell] = raw.objects[rawObjectAt + inputCell];
  }

  mergeYounger(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number, fromObjectAt: number): void {
    if (from.numbers[fromAt + this.#cell] !== Number.NEGATIVE_INFINITY) {
      this.#copy(into, at, objectAt, from, fromAt, fromObjectAt);
    }
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    if (into.numbers[this.#cell] !== Number.NEGATIVE_INFINITY) return;
    const { maskCell, bit, inputCell } = this.#channel;
    for (let i = end - 1; i >= begin; i--) {
      const at = i * stride;
      if ((raw.numbers[at + maskCell]! & bit) === 0) continue;
      into.numbers[this.#cell] = raw.numbers[at]!;
      if (this.kind === "number") into.numbers[this.#cell + 1] = raw.numbers[at + inputCell]!;
      else into.objects[this.#objectCell] = raw.objects[i * objectStride + inputCell];
      return;
    }
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    if (into.numbers[this.#cell] !== Number.NEGATIVE_INFINITY) return;
    for (let i = end - 1; i >= begin; i--) {
      if (from.numbers[i * stride + this.#cell] === Number.NEGATIVE_INFINITY) continue;
      this.#copy(into, 0, 0, from, i * stride, i * objectStride);
      return;
    }
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }

  #copy(into: Cells, at: number, objectAt: number, from: Cells, fromAt: number, fromObjectAt: number): void {
    into.numbers[at + this.#cell] = from.numbers[fromAt + this.#cell]!;
    if (this.kind === "number") into.numbers[at + this.#cell + 1] = from.numbers[fromAt + this.#cell + 1]!;
    else into.objects[objectAt + this.#objectCell] = from.objects[fromObjectAt + this.#objectCell];
  }
}
