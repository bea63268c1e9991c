/**
 * A hash of bytes for tables in memory; not for anything that is stored. MurmurHash3, x86_32 (Appleby, 2011): four bytes a
 * step, so that it takes a fraction of what it takes to look at each.
 *
 * The bytes are put together to words first, of which whoever looks for the same bytes has a use, too: words are compared
 * in a quarter of the steps.
 */
const C1 = 0xcc9e2d51 | 0;
const C2 = 0x1b873593;

/** Bytes as words of 32 bits, little-endian, the last one filled up with zeros. */
export class ByteWords {
  /** The first `length` of them are those of the bytes. */
  words: Int32Array = new Int32Array(64);
  /** In words. */
  length = 0;
  /** What the words were made of. */
  byteLength = 0;

  /** Those of `bytes[start, end)`, in place of what was here. */
  take(bytes: Uint8Array, start: number, end: number): void {
    const byteLength = end - start;
    const length = (byteLength + 3) >> 2;
    if (length > this.words.length) this.words = new Int32Array(2 * length);
    const { words } = this;
    const whole = byteLength >> 2;
    let at = start;
    for (let i = 0; i < whole; i++, at += 4)
      words[i] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    if (whole < length) {
      let rest = 0;
      for (let shift = 0; at < end; at++, shift += 8) rest |= bytes[at]! << shift;
      words[whole] = rest;
    }
    this.length = length;
    this.byteLength = byteLength;
  }

  /** Of the bytes. */
  hash(seed: number): number {
    const { words, byteLength } = this;
    const whole = byteLength >> 2;
    let hash = seed | 0;
    for (let i = 0; i < whole; i++) {
      hash ^= mixed(words[i]!);
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
    if (whole < this.length) hash ^= mixed(words[whole]!);
    hash ^= byteLength;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  /** Whether they stand in `there` from `at` on. */
  areAt(there: Int32Array, at: number): boolean {
    const { words, length } = this;
    for (let i = 0; i < length; i++) if (there[at + i] !== words[i]) return false;
    return true;
  }

  /** Puts them into `there` from `at` on. */
  putAt(there: Int32Array, at: number): void {
    const { words, length } = this;
    for (let i = 0; i < length; i++) there[at + i] = words[i]!;
  }
}

function mixed(word: number): number {
  const product = Math.imul(word, C1);
  return Math.imul((product << 15) | (product >>> 17), C2);
}
