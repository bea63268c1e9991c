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

const writer = new ObjectWriter();
const words = new Int32Array(4);

/** The first 53 bits of the value's hash, as a whole number. */
export function valueHash(value: Value): number {
  writer.clear();
  writer.putAll([value], 0, 1);
  hash(writer.buffer, writer.length, words);
  return (words[0]! >>> 0) * 2 ** 21 + (words[1]! >>> 11);
}

/** The four 32-bit words of the hash, in order. */
export function murmur3(bytes: Uint8Array): Int32Array {
  const result = new Int32Array(4);
  hash(bytes, bytes.length, result);
  return result;
}

function hash(bytes: Uint8Array, length: number, into: Int32Array): void {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let at = 0;
  for (; at + 16 <= length; at += 16) {
    h1 ^= Math.imul(rotate(Math.imul(wordAt(bytes, at), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(wordAt(bytes, at + 4), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(wordAt(bytes, at + 8), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(wordAt(bytes, at + 12), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  // the bytes behind the last whole block, as if zeros followed
  h1 ^= Math.imul(rotate(Math.imul(restAt(bytes, at, length), C1), 15), C2);
  h2 ^= Math.imul(rotate(Math.imul(restAt(bytes, at + 4, length), C2), 16), C3);
  h3 ^= Math.imul(rotate(Math.imul(restAt(bytes, at + 8, length), C3), 17), C4);
  h4 ^= Math.imul(rotate(Math.imul(restAt(bytes, at + 12, length), C4), 18), C1);

  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  into[0] = h1;
  into[1] = h2 + h1;
  into[2] = h3 + h1;
  into[3] = h4 + h1;
}

/** 32 bits, little-endian. */
function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function restAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0;
  for (let i = at; i < at + 4 && i < end; i++) word |= bytes[i]! << ((i - at) * 8);
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
