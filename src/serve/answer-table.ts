/**
 * Where kept answers are, by a hash of what was asked: rows of eight places, each a hash and the word at which an answer
 * begins, side by side. Most rows have one or two, so that looking one up touches one line of the processor's cache.
 *
 * It grows with what is in it, up to a bound: one as large as it may become would have its few entries spread over so
 * many pages of memory that finding the page takes as long as all else. Growing splits each row in two and looks at no
 * entry, so a table of a million is done in some milliseconds.
 */
export const NONE = -1;

const WAYS = 8;
/** Int32 fields of a row: a hash and a place for each way. */
const ROW = 2 * WAYS;
const ROWS_MIN = 16;
/** Entries a row on average at which the table grows: hardly any row has eight then. */
const ENTRIES_A_ROW_MAX = 2;

export class AnswerTable {
  /** Row by row: hash, place, hash, place. Another one once it has grown. */
  pairs: Int32Array = new Int32Array(ROWS_MIN * ROW).fill(NONE);
  readonly #rowsMax: number;
  #rowMask = ROWS_MIN - 1;
  #count = 0;

  /** Grows up to so many entries' room. */
  constructor(entriesMax: number) {
    this.#rowsMax = 2 ** Math.max(4, Math.round(Math.log2(entriesMax / WAYS)));
  }

  /** Index of the first pair of the hash's row, in `pairs`; the row ends at `endOf` it. */
  rowOf(hash: number): number {
    return (hash & this.#rowMask) * ROW;
  }

  endOf(row: number): number {
    return row + ROW;
  }

  /** In a free way of its row; where there is none and it grows no more, in that whose entry `ageOf` says is the oldest. */
  put(hash: number, place: number, ageOf: (place: number) => number): void {
    if (this.#count >= ENTRIES_A_ROW_MAX * (this.#rowMask + 1)) this.#grow();
    let pair = this.#freePair(hash);
    if (pair === NONE && this.#grow()) pair = this.#freePair(hash);
    if (pair === NONE) pair = this.#oldestPair(hash, ageOf);
    else this.#count++;
    this.pairs[pair] = hash;
    this.pairs[pair + 1] = place;
  }

  #freePair(hash: number): number {
    const row = this.rowOf(hash);
    for (let pair = row; pair < row + ROW; pair += 2) if (this.pairs[pair + 1] === NONE) return pair;
    return NONE;
  }

  #oldestPair(hash: number, ageOf: (place: number) => number): number {
    const row = this.rowOf(hash);
    let oldest = row;
    let oldestAge = NONE;
    for (let pair = row; pair < row + ROW; pair += 2) {
      const age = ageOf(this.pairs[pair + 1]!);
      if (age > oldestAge) [oldest, oldestAge] = [pair, age];
    }
    return oldest;
  }

  /** Does nothing where the place has been given to another meanwhile. */
  remove(hash: number, place: number): void {
    const { pairs } = this;
    const row = this.rowOf(hash);
    for (let pair = row; pair < row + ROW; pair += 2) {
      if (pairs[pair + 1] !== place) continue;
      pairs[pair + 1] = NONE;
      this.#count--;
      return;
    }
  }

  clear(): void {
    this.pairs.fill(NONE);
    this.#count = 0;
  }

  /** To twice the rows, if it may: those of a row go to its own number or to that and as many as there were. */
  #grow(): boolean {
    if (this.#rowMask + 1 >= this.#rowsMax) return false;
    const from = this.pairs;
    const rows = this.#rowMask + 1;
    const to = new Int32Array(2 * from.length).fill(NONE);
    const upper = rows * ROW;
    for (let row = 0; row < upper; row += ROW) {
      let low = row;
      let high = row + upper;
      for (let pair = row; pair < row + ROW; pair += 2) {
        if (from[pair + 1] === NONE) continue;
        const hash = from[pair]!;
        const at = (hash & rows) === 0 ? low : high;
        if (at === low) low += 2;
        else high += 2;
        to[at] = hash;
        to[at + 1] = from[pair + 1]!;
      }
    }
    this.pairs = to;
    this.#rowMask = 2 * rows - 1;
    return true;
  }
}
