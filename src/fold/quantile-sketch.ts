/**
 * Quantiles: exact to 128 values, then DDSketch.
 *
 * Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
 * PVLDB 12(12), 2019, with linearly interpolated bins: each power of two is cut into 64 equal parts, found
 * from a float64's own bits, so that no logarithm is needed. A value is answered by the harmonic middle of
 * its bin's bounds a and b, which is off by at most (b - a) / (b + a) of it: 1/129 in the finest bins.
 *
 * Past 1024 bins, pairs of neighbours become one (uniform collapse: Epicoco et al., "UDDSketch", IEEE Access
 * 8, 2020), which doubles the error; the read reports it. Values below 2^-1022 in size count as 0.
 *
 * The q-quantile of n values is the one at rank floor(q (n - 1)), from 0, in ascending order. The state is
 * a function of the set of values alone: merging is associative and commutative to the bit.
 */
import type { Value } from "../schema/value.ts";
import { type Gathering, lowerBound, type Summary } from "./summary.ts";

export const EXACT_QUANTILE_MAX = 128;
export const QUANTILE_BINS_MAX = 1024;
const PARTS_BITS = 6;
/** Relative error in the finest bins. */
export const QUANTILE_ERROR: number = 1 / 129;

const EXACT = -1;
/** Keys of positive values are above this, those of negative values below its opposite. */
const KEY_ZERO = 0;

const scratch = new DataView(new ArrayBuffer(8));

/**
 * `[level, keys, counts]`: keys ascending, each of them 2^level of the finest bins; or `[-1, values, []]` with
 * the values themselves, ascending.
 */
export type QuantileState = [level: number, keys: number[], counts: number[]];

export const QUANTILES: Summary<QuantileState> = {
  empty: () => [EXACT, [], []],
  add: (state, value) => {
    if (state[0] === EXACT) addExact(state, value as number);
    else addKey(state, coarser(finestKey(value as number), state[0]), 1);
    return state;
  },
  merge: (older, younger) => {
    const [level, keys, counts] = younger;
    if (level === EXACT) {
      for (const value of keys) QUANTILES.add(older, value, 0);
      return older;
    }
    if (older[0] === EXACT) toBins(older);
    while (older[0] < level) collapse(older);
    for (let i = 0; i < keys.length; i++) addKey(older, coarser(keys[i]!, older[0] - level), counts[i]!);
    return older;
  },
  gather: () => new Binning(),
};

/** As adding the value so many times. */
export function addCounted(state: QuantileState, value: number, count: number): void {
  if (state[0] === EXACT && state[1].length + count <= EXACT_QUANTILE_MAX) {
    for (let i = 0; i < count; i++) addExact(state, value);
    return;
  }
  if (state[0] === EXACT) toBins(state);
  addKey(state, coarser(finestKey(value), state[0]), count);
}

/** Collects states, and counts their bins only when it knows them all. */
class Binning implements Gathering<QuantileState> {
  readonly #values: number[] = [];
  readonly #sketches: QuantileState[] = [];

  add(value: Value): void {
    this.#values.push(value as number);
  }

  merge(younger: QuantileState): void {
    if (younger[0] !== EXACT) this.#sketches.push(younger);
    else for (const value of younger[1]) this.#values.push(value);
  }

  result(): QuantileState {
    const values = this.#values;
    if (this.#sketches.length === 0 && values.length <= EXACT_QUANTILE_MAX) {
      return [EXACT, [...Float64Array.from(values).sort()], []];
    }
    let level = 0;
    let length = values.length;
    for (const [own, keys] of this.#sketches) {
      level = Math.max(level, own);
      length += keys.length;
    }
    const keys = new Int32Array(length);
    const counts = new Float64Array(length).fill(1);
    for (let i = 0; i < values.length; i++) keys[i] = coarser(finestKey(values[i]!), level);
    let at = values.length;
    for (const [own, ownKeys, ownCounts] of this.#sketches) {
      for (let i = 0; i < ownKeys.length; i++, at++) {
        keys[at] = coarser(ownKeys[i]!, level - own);
        counts[at] = ownCounts[i]!;
      }
    }
    const state: QuantileState = [level, [], []];
    appendCounted(state, keys, counts);
    while (state[1].length > QUANTILE_BINS_MAX) collapse(state);
    return state;
  }
}

/** Appends keys, ascending, and how often each was counted. Those of one sign lie close together, both signs far apart. */
function appendCounted(state: QuantileState, keys: Int32Array, counts: Float64Array): void {
  let [leastBelow, mostBelow, leastAbove, mostAbove] = [0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key > KEY_ZERO) {
      if (key < leastAbove) leastAbove = key;
      if (key > mostAbove) mostAbove = key;
    } else if (key < KEY_ZERO) {
      if (key < leastBelow) leastBelow = key;
      if (key > mostBelow) mostBelow = key;
    }
  }
  const below = new Float64Array(Math.max(0, mostBelow - leastBelow + 1));
  const above = new Float64Array(Math.max(0, mostAbove - leastAbove + 1));
  const zero = new Float64Array(1);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key > KEY_ZERO) above[key - leastAbove]! += counts[i]!;
    else if (key < KEY_ZERO) below[key - leastBelow]! += counts[i]!;
    else zero[0]! += counts[i]!;
  }
  appendPresent(state, below, leastBelow);
  appendPresent(state, zero, KEY_ZERO);
  appendPresent(state, above, leastAbove);
}

function appendPresent([, keys, counts]: QuantileState, counted: Float64Array, least: number): void {
  for (let i = 0; i < counted.length; i++) {
    if (counted[i] === 0) continue;
    keys.push(least + i);
    counts.push(counted[i]!);
  }
}

/** null of no values. */
export function quantileOf(state: QuantileState | null, q: number): Value {
  if (state === null) return null;
  const [level, keys, counts] = state;
  if (level === EXACT) return keys.length === 0 ? null : keys[Math.floor(q * (keys.length - 1))]! + 0;
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  const rank = Math.floor(q * (total - 1));
  let seen = 0;
  let at = 0;
  for (; at < keys.length - 1; at++) {
    seen += counts[at]!;
    if (seen > rank) break;
  }
  return middleOf(keys[at]!, level);
}

/** Relative error of the answer; 0 while it is exact. */
export function quantileError(state: QuantileState | null): number {
  if (state === null || state[0] === EXACT) return 0;
  const parts = 2 ** (PARTS_BITS - state[0]);
  // within a power of two a bin is an equal part of it; past that it covers whole powers
  if (parts >= 1) return 1 / (2 * parts + 1);
  const ratio = 2 ** (1 / parts);
  return Number.isFinite(ratio) ? (ratio - 1) / (ratio + 1) : 1;
}

function addExact(state: QuantileState, value: number): void {
  const values = state[1];
  values.splice(lowerBound(values, value), 0, value);
  if (values.length > EXACT_QUANTILE_MAX) toBins(state);
}

function toBins(state: QuantileState): void {
  const values = state[1];
  state[0] = 0;
  state[1] = [];
  for (const value of values) addKey(state, coarser(finestKey(value), state[0]), 1);
}

function addKey(state: QuantileState, key: number, count: number): void {
  const [, keys, counts] = state;
  const at = lowerBound(keys, key);
  if (keys[at] === key) {
    counts[at]! += count;
    return;
  }
  keys.splice(at, 0, key);
  counts.splice(at, 0, count);
  while (state[1].length > QUANTILE_BINS_MAX) collapse(state);
}

function collapse(state: QuantileState): void {
  const [level, keys, counts] = state;
  const joined: number[] = [];
  const sums: number[] = [];
  for (let i = 0; i < keys.length; i++) {
    const key = coarser(keys[i]!, 1);
    if (joined.length > 0 && joined[joined.length - 1] === key) sums[sums.length - 1]! += counts[i]!;
    else {
      joined.push(key);
      sums.push(counts[i]!);
    }
  }
  state[0] = level + 1;
  state[1] = joined;
  state[2] = sums;
}

/** The key `levels` further up. Size and sign are apart, so that both sides of zero are cut alike. */
function coarser(key: number, levels: number): number {
  if (key === KEY_ZERO || levels === 0) return key;
  const size = Math.floor((Math.abs(key) - 1) / 2 ** levels) + 1;
  return key < 0 ? -size : size;
}

/** 0 for zero; else 1 plus the upper bits of the value's size (11 of its exponent, 6 of its fraction), signed. */
function finestKey(value: number): number {
  scratch.setFloat64(0, value);
  const upper = scratch.getUint32(0);
  const bits = (upper & 0x7fffffff) >>> (20 - PARTS_BITS);
  if (bits < 1 << PARTS_BITS) return KEY_ZERO;
  return upper >>> 31 === 1 ? -(bits + 1) : bits + 1;
}

function middleOf(key: number, level: number): number {
  if (key === KEY_ZERO) return 0;
  const first = (Math.abs(key) - 1) * 2 ** level;
  const a = boundOf(Math.max(first, 1 << PARTS_BITS));
  const b = boundOf(first + 2 ** level);
  // 2ab / (a + b), in an order that does not overflow
  const middle = a * (2 / (1 + a / b));
  return key < 0 ? -middle : middle;
}

/** The smallest value whose finest bin has these bits; the largest of all where there is none. */
function boundOf(bits: number): number {
  if (bits >= 0x7ff << PARTS_BITS) return Number.MAX_VALUE;
  scratch.setUint32(0, bits << (20 - PARTS_BITS));
  scratch.setUint32(4, 0);
  return scratch.getFloat64(0);
}
