/**
 * A fixed hash of values: MurmurHash3_x86_128 (Appleby, 2011; public domain) with seed 0 over a value's
 * bytes as `object-codec.ts` writes them. Equal values have equal hashes, on any machine, for ever.
 */
import type { Value } from "../schema/value.ts";
import { ObjectWriter } from "./object-codec.ts";

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

/** One for all hashes, of which only one is ever being made. */
const WRITER: ObjectWriter = new ObjectWriter();

/** The first 53 bits of the value's hash, as a whole number. */
export function valueHash(value: Value): number {
  WRITER.clear();
  WRITER.put(value);
  const words = murmur3(WRITER.view());
  return (words[0]! >>> 0) * 2 ** 21 + (words[1]! >>> 11);
}

/** The four 32-bit words of the hash, in order. */
export function murmur3(bytes: Uint8Array): Int32Array {
  const blocks = bytes.length >>> 4;
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  for (let i = 0; i < blocks; i++) {
    h1 ^= Math.imul(rotate(Math.imul(wordAt(bytes, i * 16), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(wordAt(bytes, i * 16 + 4), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(wordAt(bytes, i * 16 + 8), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(wordAt(bytes, i * 16 + 12), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  // the bytes behind the last whole block, as if zeros followed
  const tail = blocks * 16;
  h1 ^= Math.imul(rotate(Math.imul(wordAt(bytes, tail), C1), 15), C2);
  h2 ^= Math.imul(rotate(Math.imul(wordAt(bytes, tail + 4), C2), 16), C3);
  h3 ^= Math.imul(rotate(Math.imul(wordAt(bytes, tail + 8), C3), 17), C4);
  h4 ^= Math.imul(rotate(Math.imul(wordAt(bytes, tail + 12), C4), 18), C1);

  h1 ^= bytes.length;
  h2 ^= bytes.length;
  h3 ^= bytes.length;
  h4 ^= bytes.length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  return Int32Array.of(h1, h2 + h1, h3 + h1, h4 + h1);
}

/** Four bytes, the least first; 0 for those behind the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  if (at + 4 <= bytes.length) {
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
  let word = 0;
  for (let i = at; i < bytes.length; i++) word |= bytes[i]! << (8 * (i - at));
  return word;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
