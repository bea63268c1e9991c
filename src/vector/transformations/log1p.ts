/**
 * log(1 + x) from IEEE 754 exact operations alone: `Math.log1p` may differ between engines in its last bit,
 * this may not.
 *
 * After FreeBSD's and Sun's fdlibm, `s_log1p.c`:
 *
 *     1 + x = 2^k (1 + f),   sqrt(2)/2 < 1 + f < sqrt(2)
 *     log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))),   s = f / (2 + f)
 *     log1p(x) = k ln2 + log(1 + f) + c,   c makes up for the rounding of 1 + x
 *
 * Error below 1 ulp.
 *
 * ====================================================
 * Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
 *
 * Developed at SunPro, a Sun Microsystems, Inc. business.
 * Permission to use, copy, modify, and distribute this
 * software is freely granted, provided that this notice
 * is preserved.
 * ====================================================
 */

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const LP1 = 0.6666666666666735;
const LP2 = 0.3999999999940942;
const LP3 = 0.2857142874366239;
const LP4 = 0.22222198432149784;
const LP5 = 0.1818357216161805;
const LP6 = 0.15313837699209373;
const LP7 = 0.14798198605116586;

/** -Infinity for -1, NaN below it. */
export function log1p(x: number): number {
  if (x <= -1) return x === -1 ? Number.NEGATIVE_INFINITY : Number.NaN;
  if (!(x < Number.POSITIVE_INFINITY)) return x;
  const size = Math.abs(x);
  // below 2^-54 the next term is less than half an ulp, below 2^-29 the one after it
  if (size < 2 ** -54) return x;
  if (size < 2 ** -29) return x - x * x * 0.5;
  const highWord = highWordOf(x);
  if (highWord > 0 ? highWord < 0x3fda827a : highWord <= (0xbfd2bec3 | 0)) return ofFraction(x, 0, 0, false);

  // x = 2^53 and more swallow the 1
  const isLarge = highWord >= 0x43400000;
  const sum = isLarge ? x : 1 + x;
  const sumWord = highWordOf(sum);
  let k = (sumWord >> 20) - 1023;
  const correction = isLarge ? 0 : (k > 0 ? 1 - (sum - x) : x - (sum - 1)) / sum;
  const fractionWord = sumWord & 0x000fffff;
  let normalized: number;
  if (fractionWord < 0x6a09e) normalized = withHighWord(sum, fractionWord | 0x3ff00000);
  else {
    k += 1;
    normalized = withHighWord(sum, fractionWord | 0x3fe00000);
  }
  const isNearOne = fractionWord < 0x6a09e ? fractionWord === 0 : (0x00100000 - fractionWord) >> 2 === 0;
  return ofFraction(normalized - 1, k, correction, isNearOne);
}

/** k ln2 + log(1 + f) + c. */
function ofFraction(f: number, k: number, c: number, isNearOne: boolean): number {
  const halfSquare = 0.5 * f * f;
  if (isNearOne) {
    // |f| < 2^-20
    if (f === 0) return k === 0 ? 0 : k * LN2_HIGH + (c + k * LN2_LOW);
    const r = halfSquare * (1 - (2 / 3) * f);
    return k === 0 ? f - r : k * LN2_HIGH - (r - (k * LN2_LOW + c) - f);
  }
  const s = f / (2 + f);
  const z = s * s;
  const r = z * (LP1 + z * (LP2 + z * (LP3 + z * (LP4 + z * (LP5 + z * (LP6 + z * LP7))))));
  if (k === 0) return f - (halfSquare - s * (halfSquare + r));
  return k * LN2_HIGH - (halfSquare - (s * (halfSquare + r) + (k * LN2_LOW + c)) - f);
}

const WORDS: DataView = new DataView(new ArrayBuffer(8));

/** The upper 32 bits, signed: sign, exponent and the first 20 bits of the fraction. */
function highWordOf(x: number): number {
  WORDS.setFloat64(0, x);
  return WORDS.getInt32(0);
}

function withHighWord(x: number, word: number): number {
  WORDS.setFloat64(0, x);
  WORDS.setInt32(0, word);
  return WORDS.getFloat64(0);
}
