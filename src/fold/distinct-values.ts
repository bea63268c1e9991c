/**
 * How many different values: exact to 256 of them, then HyperLogLog.
 *
 * Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation
 * algorithm", AofA 2007: 2048 registers, standard error 1.04 / sqrt(2048) = 2.3%. Estimated as in Ertl, "New
 * cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, 2017, algorithm 6, which
 * needs neither logarithms nor bias tables: additions, products and square roots give the same bits anywhere.
 *
 * The state is a function of the set of values alone: merging is associative and commutative to the bit.
 * Values are told apart by 53 bits of their hash; that two of 256 share them has probability 4e-12.
 */
import type { Value } from "../schema/value.ts";
import { type Gathering, lowerBound, type Summary } from "./summary.ts";
import { valueHash } from "./value-hash.ts";

export const EXACT_DISTINCT_MAX = 256;
export const DISTINCT_REGISTERS = 2048;
/** Relative standard error past the exact values: one estimate in three lies further off, one in twenty twice. */
export const DISTINCT_ERROR: number = 1.04 / Math.sqrt(DISTINCT_REGISTERS);

const REST_BITS = 42;
const REST_RANGE: number = 2 ** REST_BITS;
const RANK_MAX = REST_BITS + 1;
/** 1 / (2 ln 2). */
const ALPHA = 0.7213475204444817;

/** Hashes in ascending order, or registers. */
export type DistinctState = number[] | Uint8Array;

export const DISTINCT_VALUES: Summary<DistinctState> = {
  empty: () => [],
  add: (state, value) => addHash(state, valueHash(value)),
  merge: (older, younger) => {
    if (!(younger instanceof Uint8Array)) {
      if (!(older instanceof Uint8Array)) return unionOf(older, younger);
      for (let i = 0; i < younger.length; i++) register(older, younger[i]!);
      return older;
    }
    const registers = older instanceof Uint8Array ? older : toRegisters(older);
    for (let i = 0; i < DISTINCT_REGISTERS; i++) if (younger[i]! > registers[i]!) registers[i] = younger[i]!;
    return registers;
  },
  gather: () => new Hashing(),
};

const SLOTS = 1024;
const NO_HASH = -1;

/** Keeps hashes in a table, open addressing, until there are too many of them. */
class Hashing implements Gathering<DistinctState> {
  readonly #slots: Float64Array = new Float64Array(SLOTS).fill(NO_HASH);
  #count: number = 0;
  #registers: Uint8Array | null = null;

  add(value: Value): void {
    this.#take(valueHash(value));
  }

  merge(younger: DistinctState): void {
    if (younger instanceof Uint8Array) {
      this.#registers = DISTINCT_VALUES.merge(this.#registers ?? toRegisters(this.#hashes()), younger) as Uint8Array;
    } else for (let i = 0; i < younger.length; i++) this.#take(younger[i]!);
  }

  result(): DistinctState {
    return this.#registers ?? [...Float64Array.from(this.#hashes()).sort()];
  }

  #take(hash: number): void {
    if (this.#registers !== null) {
      register(this.#registers, hash);
      return;
    }
    const slots = this.#slots;
    let slot = hash & (SLOTS - 1);
    while (slots[slot] !== NO_HASH) {
      if (slots[slot] === hash) return;
      slot = (slot + 1) & (SLOTS - 1);
    }
    slots[slot] = hash;
    if (++this.#count > EXACT_DISTINCT_MAX) this.#registers = toRegisters(this.#hashes());
  }

  #hashes(): number[] {
    const hashes: number[] = [];
    for (let i = 0; i < SLOTS; i++) if (this.#slots[i] !== NO_HASH) hashes.push(this.#slots[i]!);
    return hashes;
  }
}

export function distinctCount(state: DistinctState | null): Value {
  if (state === null) return 0;
  return state instanceof Uint8Array ? Math.round(estimate(state)) : state.length;
}

/** 0 while the count is exact. */
export function distinctError(state: DistinctState | null): number {
  return state instanceof Uint8Array ? DISTINCT_ERROR : 0;
}

function addHash(state: DistinctState, hash: number): DistinctState {
  if (state instanceof Uint8Array) {
    register(state, hash);
    return state;
  }
  const at = lowerBound(state, hash);
  if (state[at] === hash) return state;
  state.splice(at, 0, hash);
  return state.length > EXACT_DISTINCT_MAX ? toRegisters(state) : state;
}

/** Both ascend. */
function unionOf(a: readonly number[], b: readonly number[]): DistinctState {
  const union: number[] = [];
  let i = 0;
  let k = 0;
  while (i < a.length && k < b.length) {
    const next = a[i]! <= b[k]! ? a[i]! : b[k]!;
    if (a[i] === next) i++;
    if (b[k] === next) k++;
    union.push(next);
  }
  while (i < a.length) union.push(a[i++]!);
  while (k < b.length) union.push(b[k++]!);
  return union.length > EXACT_DISTINCT_MAX ? toRegisters(union) : union;
}

function toRegisters(hashes: readonly number[]): Uint8Array {
  const registers = new Uint8Array(DISTINCT_REGISTERS);
  for (const hash of hashes) register(registers, hash);
  return registers;
}

/** The upper 11 bits choose a register; it keeps the longest run of zeros that the other 42 begin with, plus one. */
function register(registers: Uint8Array, hash: number): void {
  const index = Math.floor(hash / REST_RANGE);
  const rest = hash - index * REST_RANGE;
  const upper = Math.floor(rest / 2048);
  const zeros = upper !== 0 ? Math.clz32(upper) - 1 : 31 + Math.clz32(rest) - 21;
  const rank = zeros + 1;
  if (rank > registers[index]!) registers[index] = rank;
}

function estimate(registers: Uint8Array): number {
  const counts = new Float64Array(RANK_MAX + 1);
  for (let i = 0; i < DISTINCT_REGISTERS; i++) counts[registers[i]!]! += 1;
  let z = DISTINCT_REGISTERS * tau(1 - counts[RANK_MAX]! / DISTINCT_REGISTERS);
  for (let rank = RANK_MAX - 1; rank >= 1; rank--) z = 0.5 * (z + counts[rank]!);
  z += DISTINCT_REGISTERS * sigma(counts[0]! / DISTINCT_REGISTERS);
  return (ALPHA * DISTINCT_REGISTERS * DISTINCT_REGISTERS) / z;
}

/** x + x^2 + 2 x^4 + 4 x^8 + ..., for x < 1: registers never all stay empty. */
function sigma(share: number): number {
  let x = share;
  let y = 1;
  let z = x;
  for (;;) {
    x *= x;
    const next = z + x * y;
    y += y;
    if (next === z) return z;
    z = next;
  }
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let x = share;
  let y = 1;
  let z = 1 - x;
  for (;;) {
    x = Math.sqrt(x);
    y *= 0.5;
    const next = z - (1 - x) * (1 - x) * y;
    if (next === z) return z / 3;
    z = next;
  }
}
