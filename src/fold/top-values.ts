/**
 * The most frequent values: exact counts of up to 256 different ones, then a Misra-Gries summary.
 *
 * Misra, Gries, "Finding repeated elements", Science of Computer Programming 2, 1982; merged as in Agarwal et
 * al., "Mergeable summaries", ACM TODS 38(4), 2013: counts are added, then the 257th largest is taken off all
 * and what is left with nothing is dropped. A kept count may be too small by `lost`, the sum of what was taken
 * off, and never by more than 1/257 of all events; nothing else is wrong. Merging is associative to the bit
 * while counts are exact, and up to that error past it.
 */
import type { Value } from "../schema/value.ts";
import type { Gathering, Summary } from "./summary.ts";

export const TOP_COUNTED_MAX = 256;
/** So many events out of all a count may be too small by, as a share. */
export const TOP_ERROR_MAX: number = 1 / (TOP_COUNTED_MAX + 1);

/** Values in the order in which they were first counted, their counts beside them. */
export type TopState = [events: number, lost: number, values: Value[], counts: number[]];

export const TOP_VALUES: Summary<TopState> = {
  empty: () => [0, 0, [], []],
  add: (state, value) => {
    state[0] += 1;
    addCount(state, value, 1);
    cut(state);
    return state;
  },
  merge: (older, younger) => {
    older[0] += younger[0];
    older[1] += younger[1];
    for (let i = 0; i < younger[2].length; i++) addCount(older, younger[2][i]!, younger[3][i]!);
    cut(older);
    return older;
  },
  gather: () => new Counting(),
};

/** Counts with a place for each value at hand. In which order values were first counted it forgets: no reader asks. */
class Counting implements Gathering<TopState> {
  readonly #places: Map<Value, number> = new Map();
  readonly #state: TopState = [0, 0, [], []];

  add(value: Value): void {
    this.#state[0] += 1;
    const known = this.#state[2].length;
    this.#count(value, 1);
    this.#settle(known);
  }

  merge([events, lost, values, counts]: TopState): void {
    this.#state[0] += events;
    this.#state[1] += lost;
    const known = this.#state[2].length;
    for (let i = 0; i < values.length; i++) this.#count(values[i]!, counts[i]!);
    this.#settle(known);
  }

  result(): TopState {
    return this.#state;
  }

  /** A value that is new is only put behind the others: most that come late are cut again. */
  #count(value: Value, count: number): void {
    const [, , values, counts] = this.#state;
    const place = this.#places.get(value);
    if (place !== undefined) counts[place]! += count;
    else {
      values.push(value);
      counts.push(count);
    }
  }

  /** Cuts, and gives their places to those that are new, from `known` on. */
  #settle(known: number): void {
    const [, , values, counts] = this.#state;
    const taken = values.length > TOP_COUNTED_MAX ? largest(counts, TOP_COUNTED_MAX) : 0;
    this.#state[1] += taken;
    let end = values.length;
    for (let i = taken === 0 ? known : 0; i < end; i++) {
      const goes = counts[i]! <= taken;
      if (goes) {
        if (i < known) this.#places.delete(values[i]!);
        // the last that stays takes the place
        for (end--; end > i && counts[end]! <= taken; end--) if (end < known) this.#places.delete(values[end]!);
        if (end === i) break;
        values[i] = values[end]!;
        counts[i] = counts[end]!;
      }
      counts[i]! -= taken;
      if (goes || i >= known) this.#places.set(values[i]!, i);
    }
    values.length = end;
    counts.length = end;
  }
}

/** The largest count but `greater`. It is sought from below: there most counts are alike, and soon passed. */
function largest(counts: readonly number[], greater: number): number {
  let candidate = 0;
  for (;;) {
    let next = Number.POSITIVE_INFINITY;
    let above = 0;
    for (let i = 0; i < counts.length; i++) {
      if (counts[i]! <= candidate) continue;
      above++;
      if (counts[i]! < next) next = counts[i]!;
    }
    if (above <= greater) return candidate;
    candidate = next;
  }
}

function addCount([, , values, counts]: TopState, value: Value, count: number): void {
  const at = values.indexOf(value);
  if (at >= 0) counts[at]! += count;
  else {
    values.push(value);
    counts.push(count);
  }
}

function cut(state: TopState): void {
  const [, , values, counts] = state;
  if (values.length <= TOP_COUNTED_MAX) return;
  const taken = counts.toSorted((a, b) => b - a)[TOP_COUNTED_MAX]!;
  state[1] += taken;
  state[2] = values.filter((_, i) => counts[i]! > taken);
  state[3] = counts.filter((count) => count > taken).map((count) => count - taken);
}

/** The k most frequent values. null of no values. */
export function topValues(state: TopState | null, k: number): Value {
  if (state === null || state[2].length === 0) return null;
  return orderOf(state, k).map((i) => state[2][i]!);
}

/** The counts of what `topValues` gives, in its order. null of no values. */
export function topCounts(state: TopState | null, k: number): Value {
  if (state === null || state[2].length === 0) return null;
  return orderOf(state, k).map((i) => state[3][i]!);
}

/** Events whose value is not among the k: with the counts, all events that had a value. */
export function topOther(state: TopState | null, k: number): number {
  if (state === null) return 0;
  return orderOf(state, k).reduce((rest, i) => rest - state[3][i]!, state[0]);
}

/** Places of the k most frequent values, most frequent first; of equally frequent ones the smaller first. */
function orderOf([, , values, counts]: TopState, k: number): number[] {
  const order = values.map((_, i) => i);
  order.sort((a, b) => counts[b]! - counts[a]! || (values[a]! < values[b]! ? -1 : 1));
  return order.slice(0, k);
}

/** By what share of all events a count may be too small; 0 while counts are exact. */
export function topError(state: TopState | null): number {
  return state === null || state[1] === 0 ? 0 : state[1] / state[0];
}
