/**
 * Conversions between a column engine's raw memory and typed arrays, without a BigInt per cell.
 *
 * A 64-bit integer is read as two 32-bit halves: `high * 2^32 + low` is exact for every safe integer,
 * and so is splitting one. Validity bitmaps hold one bit a row, least significant first, 1 = present.
 */

const TWO_POW_32 = 4_294_967_296;

/** Doubles of little-endian 64-bit integers; exact within the safe range, nearest double outside it. */
export function doublesOfInt64(items: BigInt64Array, rowCount: number): Float64Array {
  const halves = new Int32Array(items.buffer, items.byteOffset, rowCount * 2);
  const doubles = new Float64Array(rowCount);
  for (let i = 0; i < rowCount; i++) doubles[i] = halves[2 * i + 1]! * TWO_POW_32 + (halves[2 * i]! >>> 0);
  return doubles;
}

/** Writes `doubles[from, from + count)`, which must be safe integers, as little-endian 64-bit integers. */
export function writeInt64OfDoubles(doubles: Float64Array, from: number, count: number, into: BigInt64Array): void {
  const halves = new Int32Array(into.buffer, into.byteOffset, count * 2);
  for (let i = 0; i < count; i++) {
    const value = doubles[from + i]!;
    halves[2 * i] = value;
    halves[2 * i + 1] = Math.floor(value / TWO_POW_32);
  }
}

/** One byte a row (0 = null) from a bitmap, or null where every row is present. */
export function bytesOfBitmap(bitmap: BigUint64Array | null, rowCount: number): Uint8Array | null {
  if (bitmap === null) return null;
  const bits = new Uint8Array(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength);
  const bytes = new Uint8Array(rowCount);
  let present = 0;
  for (let i = 0; i < rowCount; i++) {
    const bit = (bits[i >> 3]! >> (i & 7)) & 1;
    bytes[i] = bit;
    present += bit;
  }
  return present === rowCount ? null : bytes;
}

/** A bitmap from `validity[from, from + count)`, or null where every row of the range is present. */
export function bitmapOfBytes(validity: Uint8Array | null, from: number, count: number): BigUint64Array | null {
  if (validity === null || validity.subarray(from, from + count).indexOf(0) === -1) return null;
  const bitmap = new BigUint64Array(Math.ceil(count / 64));
  const bits = new Uint8Array(bitmap.buffer);
  for (let i = 0; i < count; i++) {
    if (validity[from + i] !== 0) bits[i >> 3]! |= 1 << (i & 7);
  }
  return bitmap;
}
