/**
 * Equality to the bit: -0 is not 0, NaN is NaN, and a value of another type is another value.
 */
import type { Value } from "../schema/value.ts";

export function sameBits(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameBytes(a, b);
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item: Value, i) => sameBits(item, b[i] as Value));
  }
  return Object.is(a, b);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
