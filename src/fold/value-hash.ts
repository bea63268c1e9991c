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

/** The first 53 bits of the value's hash, as a whole number. */
export function valueHash(value: Value): number {
  const writer = new ObjectWriter();
  writer.putAll([value], 0, 1);
  const words = murmur3(writer.bytes());
  return (words[0]! >>> 0) * 2 ** 21 + (words[1]! >>> 11);
}

/** The four 32-bit words of the hash, in order. */
export function murmur3(bytes: Uint8Array): Int32Array {
  const blocks = bytes.length >>> 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  for (let i = 0; i < blocks; i++) {
    h1 ^= Math.imul(rotate(Math.imul(view.getInt32(i * 16, true), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(view.getInt32(i * 16 + 4, true), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(view.getInt32(i * 16 + 8, true), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(view.getInt32(i * 16 + 12, true), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  // the bytes behind the last whole block, as if zeros followed
  const tail = new DataView(new ArrayBuffer(16));
  for (let i = blocks * 16; i < bytes.length; i++) tail.setUint8(i - blocks * 16, bytes[i]!);
  h1 ^= Math.imul(rotate(Math.imul(tail.getInt32(0, true), C1), 15), C2);
  h2 ^= Math.imul(rotate(Math.imul(tail.getInt32(4, true), C2), 16), C3);
  h3 ^= Math.imul(rotate(Math.imul(tail.getInt32(8, true), C3), 17), C4);
  h4 ^= Math.imul(rotate(Math.imul(tail.getInt32(12, true), C4), 18), C1);

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
