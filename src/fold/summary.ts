/**
 * Aggregations whose state is more than a few numbers: a summary of values, kept in one object cell as what
 * the object codec writes (numbers, texts, bytes and arrays of them), so that its bytes are ours.
 *
 * Laws: `merge` has `empty()` as identity and is associative up to what each summary states; it agrees with
 * adding the values one by one. The sequence of operations is fixed by the sequence of events alone.
 */
import type { Value, ValueType } from "../schema/value.ts";
import {
  type Accumulator,
  type Cells,
  type Channel,
  mergeOneByOne,
  startOneByOne,
  type Strides,
} from "./accumulator.ts";

export interface Summary<S = unknown> {
  /** A state of its own, that nobody else holds. */
  empty(): S;
  /** Adds a value that stands anywhere in time but behind all others in offset. May change `state`. */
  add(state: S, value: Value, timeMicros: number): S;
  /** All of `older` stands before all of `younger`. May change `older`, never `younger`, and shares nothing with it. */
  merge(older: S, younger: S): S;
  /** For a summary of which many can be brought together at less cost than one by one. */
  readonly gather?: () => Gathering<S>;
}

/** Begins empty; takes values and states in order, as `add` and `merge` would. */
export interface Gathering<S> {
  add(value: Value, timeMicros: number): void;
  /** Changes nothing of `younger` and shares nothing with it. */
  merge(younger: S): void;
  /** A state in which readers see, to the bit, what adding and merging one by one would give. Asked for once. */
  result(): S;
}

/** One object cell: a summary's state, or null for no values. */
export class SummaryAccumulator implements Accumulator {
  readonly #summary: Summary;
  readonly #channel: Channel;
  readonly #objectCell: number;
  readonly #kind: "number" | "bool" | "object";

  constructor(summary: Summary, channel: Channel, inputType: ValueType, isNumber: boolean, objectCell: number) {
    this.#summary = summary;
    this.#channel = channel;
    this.#kind = inputType.name === "bool" ? "bool" : isNumber ? "number" : "object";
    this.#objectCell = objectCell;
  }

  clear(into: Cells, _at: number, objectAt: number): void {
    into.objects[objectAt + this.#objectCell] = null;
  }

  add(into: Cells, _at: number, objectAt: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    if ((raw.numbers[rawAt + this.#channel.maskCell]! & this.#channel.bit) === 0) return;
    const cell = objectAt + this.#objectCell;
    const state = into.objects[cell] ?? this.#summary.empty();
    into.objects[cell] = this.#summary.add(state, this.#value(raw, rawAt, rawObjectAt), raw.numbers[rawAt]!);
  }

  mergeYounger(into: Cells, _at: number, objectAt: number, from: Cells, _fromAt: number, fromObjectAt: number): void {
    const younger = from.objects[fromObjectAt + this.#objectCell];
    if (younger === null) return;
    const cell = objectAt + this.#objectCell;
    into.objects[cell] = this.#summary.merge(into.objects[cell] ?? this.#summary.empty(), younger);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    const { maskCell, bit } = this.#channel;
    let older: Gathering<unknown> | null = null;
    for (let i = begin; i < end; i++) {
      const at = i * stride;
      if ((raw.numbers[at + maskCell]! & bit) === 0) continue;
      older ??= gather(this.#summary);
      older.add(this.#value(raw, at, i * objectStride), raw.numbers[at]!);
    }
    if (older !== null) this.#prepend(into, older);
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, _stride: number, objectStride: number): void {
    let older: Gathering<unknown> | null = null;
    for (let i = begin; i < end; i++) {
      const next = from.objects[i * objectStride + this.#objectCell];
      if (next === null) continue;
      older ??= gather(this.#summary);
      older.merge(next);
    }
    if (older !== null) this.#prepend(into, older);
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }

  #prepend(into: Cells, older: Gathering<unknown>): void {
    const younger = into.objects[this.#objectCell];
    if (younger !== null) older.merge(younger);
    into.objects[this.#objectCell] = older.result();
  }

  #value(raw: Cells, rawAt: number, rawObjectAt: number): Value {
    const { inputCell } = this.#channel;
    if (this.#kind === "object") return raw.objects[rawObjectAt + inputCell] as Value;
    const number = raw.numbers[rawAt + inputCell]!;
    return this.#kind === "bool" ? number === 1 : number;
  }
}

function gather<S>(summary: Summary<S>): Gathering<S> {
  return summary.gather === undefined ? new OneByOne(summary) : summary.gather();
}

class OneByOne<S> implements Gathering<S> {
  readonly #summary: Summary<S>;
  #state: S;

  constructor(summary: Summary<S>) {
    this.#summary = summary;
    this.#state = summary.empty();
  }

  add(value: Value, timeMicros: number): void {
    this.#state = this.#summary.add(this.#state, value, timeMicros);
  }

  merge(younger: S): void {
    this.#state = this.#summary.merge(this.#state, younger);
  }

  result(): S {
    return this.#state;
  }
}

/** Position of the first element of an ascending list that is not less than `wanted`. */
export function lowerBound(list: readonly number[], wanted: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
