/**
 * A number that tells two rows apart, but once in four thousand million times: what is remembered of an event
 * beside its id, so that an id that comes again with other contents can be told from an event that comes again.
 *
 * Nulls do not count, so that a column which the source gains does not make another row of it.
 */
import type { Row, Value } from "../schema/value.ts";

const number = new Float64Array(1);
const halves = new Uint32Array(number.buffer);

/** FNV-1a, 32 bits, over the places, kinds and contents of the first `storedCount` values. */
export function rowDigest(row: Row, storedCount: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < storedCount; i++) {
    const value = row[i] ?? null;
    if (value !== null) hash = withValue(mixed(hash, i), value);
  }
  return hash >>> 0;
}

function withValue(hash: number, value: Value): number {
  switch (typeof value) {
    case "number":
      number[0] = value;
      return mixed(mixed(mixed(hash, 1), halves[0]!), halves[1]!);
    case "string": {
      let text = mixed(mixed(hash, 2), value.length);
      for (let i = 0; i < value.length; i++) text = mixed(text, value.charCodeAt(i));
      return text;
    }
    case "boolean":
      return mixed(hash, value ? 3 : 4);
    default: {
      if (value === null) return mixed(hash, 5);
      let many = mixed(mixed(hash, value instanceof Uint8Array ? 6 : 7), value.length);
      for (const element of value) many = withValue(many, element);
      return many;
    }
  }
}

function mixed(hash: number, part: number): number {
  // Once more shifted: the product's low bits know nothing of the part's high ones.
  const product = Math.imul(hash ^ part, 0x01000193);
  return product ^ (product >>> 15);
}
