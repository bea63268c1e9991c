/**
 * The user's own aggregations: states are JSON data, kept as canonical text so that no function can change
 * one behind the fold's back and a state is the same before and after it was stored.
 *
 * A custom function may throw. While an event is evaluated that makes the event poison; while buckets merge
 * or a read runs, the state becomes `FAILED` and the features that need it read as ERROR.
 *
 * `merge` is given states in order of time, but for one case: a late event that falls inside a merged bucket
 * is merged behind all of it. Where that matters to an aggregation, it must keep the times itself.
 */
import type { CustomAggregation } from "../define/aggregation-definition.ts";
import {
  type Accumulator,
  type Cells,
  type Channel,
  FAILED,
  mergeOneByOne,
  startOneByOne,
  type Strides,
} from "./accumulator.ts";
import { canonicalJson } from "./canonical-json.ts";
import { leaveUnheard } from "./unheard.ts";

/** The functions over state texts. */
export class CustomStates {
  readonly definition: CustomAggregation;
  readonly emptyText: string;

  /** Throws what `empty` throws. */
  constructor(definition: CustomAggregation) {
    this.definition = definition;
    this.emptyText = canonicalJson(definition.empty());
  }

  /** Throws what `add` throws, and for a result that is not JSON data. */
  add(text: string, input: unknown, timeMicros: number): string {
    return canonicalJson(this.definition.add(JSON.parse(text), input, timeMicros));
  }

  /** Merges two state texts, the older first. Throws what `merge` throws. */
  merge(older: string, younger: string): string {
    return canonicalJson(this.definition.merge!(JSON.parse(older), JSON.parse(younger)));
  }

  /** Merges two states within one read, where they are not written down. Throws what `merge` throws. */
  mergeRead(older: unknown, younger: unknown): Box | typeof FAILED {
    const state: unknown = this.definition.merge!(older, younger);
    leaveUnheard(state);
    return state instanceof Promise ? FAILED : { state };
  }
}

/**
 * One object cell. In groups that are kept it holds a state text, null for no event, or `FAILED`; in the
 * group of a read it holds the state itself, in a box.
 */
export class CustomAccumulator implements Accumulator {
  readonly states: CustomStates;
  readonly channel: Channel;
  readonly objectCell: number;

  constructor(states: CustomStates, channel: Channel, objectCell: number) {
    this.states = states;
    this.channel = channel;
    this.objectCell = objectCell;
  }

  clear(into: Cells, _at: number, objectAt: number): void {
    into.objects[objectAt + this.objectCell] = null;
  }

  /** The raw record holds the state of its one event, evaluated before anything was changed. */
  add(into: Cells, _at: number, objectAt: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    if ((raw.numbers[rawAt + this.channel.maskCell]! & this.channel.bit) === 0) return;
    this.#append(into, objectAt + this.objectCell, raw.objects[rawObjectAt + this.channel.inputCell]);
  }

  mergeYounger(into: Cells, _at: number, objectAt: number, from: Cells, _fromAt: number, fromObjectAt: number): void {
    const younger = from.objects[fromObjectAt + this.objectCell];
    if (younger !== null) this.#append(into, objectAt + this.objectCell, younger);
  }

  addOlder(into: Cells, raw: Cells, begin: number, end: number, stride: number, objectStride: number): void {
    const { maskCell, bit, inputCell } = this.channel;
    for (let i = end - 1; i >= begin; i--) {
      if ((raw.numbers[i * stride + maskCell]! & bit) === 0) continue;
      this.#prepend(into, raw.objects[i * objectStride + inputCell]);
    }
  }

  mergeOlder(into: Cells, from: Cells, begin: number, end: number, _stride: number, objectStride: number): void {
    for (let i = end - 1; i >= begin; i--) {
      const older = from.objects[i * objectStride + this.objectCell];
      if (older !== null) this.#prepend(into, older);
    }
  }

  startEach(into: Cells, first: number, raw: Cells, begin: number, end: number, strides: Strides): void {
    startOneByOne(this, into, first, raw, begin, end, strides);
  }

  mergeEach(groups: Cells, pairs: readonly number[], strides: Strides): void {
    mergeOneByOne(this, groups, pairs, strides);
  }

  #append(into: Cells, cell: number, younger: unknown): void {
    const older = into.objects[cell];
    if (older === null) {
      into.objects[cell] = younger;
      return;
    }
    if (older === FAILED) return;
    try {
      into.objects[cell] = younger === FAILED ? FAILED : this.states.merge(older as string, younger as string);
    } catch {
      into.objects[cell] = FAILED;
    }
  }

  #prepend(into: Cells, older: unknown): void {
    const younger = into.objects[this.objectCell];
    if (younger === FAILED) return;
    try {
      if (older === FAILED) into.objects[this.objectCell] = FAILED;
      else {
        const state: unknown = JSON.parse(older as string);
        into.objects[this.objectCell] =
          younger === null ? { state } : this.states.mergeRead(state, (younger as Box).state);
      }
    } catch {
      into.objects[this.objectCell] = FAILED;
    }
  }
}

/** A state under a running read. The box tells a state that is null from no state. */
export interface Box {
  readonly state: unknown;
}
