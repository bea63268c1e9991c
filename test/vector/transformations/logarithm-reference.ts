/**
 * log(1 + x) to some 200 bits, in whole numbers of any size: what `log1p` is held against.
 *
 * ln u = 2 artanh((u - 1) / (u + 1)), after u was halved until 1 <= u < 2; ln 2 = 2 artanh(1/3).
 */

/** Numbers are held as n / 2^BITS. */
const BITS = 400n;
const ONE = 1n << BITS;

/** By how many units in the last place `result` differs from log(1 + x); x > -1 and finite. */
export function ulpsFromLog1p(result: number, x: number): number {
  // x - x^2/2 + x^3/3: the rest is below 2^-240 of it
  const reference = Math.abs(x) < 2 ** -80 ? tinyLog1p(x) : { numerator: log1pOf(fixed(x)), exponent: -BITS };
  const { fraction, exponent } = exact(result);
  const shift = exponent - reference.exponent;
  const [ours, theirs] =
    shift >= 0n ? [fraction << shift, reference.numerator] : [fraction, reference.numerator << -shift];
  const ulp = shift >= 0n ? 1n << shift : 1n;
  return Number(((ours - theirs) * 1_000_000n) / ulp) / 1_000_000;
}

function tinyLog1p(x: number): { readonly numerator: bigint; readonly exponent: bigint } {
  const { fraction: m, exponent: e } = exact(x);
  // times 6 * 2^(-3e), then divided by 6 with 64 bits more
  const times6 = 6n * m * (1n << (-2n * e)) - 3n * m * m * (1n << -e) + 2n * m * m * m;
  return { numerator: (times6 << 64n) / 6n, exponent: 3n * e - 64n };
}

/** Its 53 bits as a whole number, and the power of two that these are multiplied by: the value of an ulp. */
function exact(x: number): { readonly fraction: bigint; readonly exponent: bigint } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(x));
  const bits = view.getBigUint64(0);
  const biased = bits >> 52n;
  const fraction = (bits & ((1n << 52n) - 1n)) | (biased === 0n ? 0n : 1n << 52n);
  return { fraction: x < 0 ? -fraction : fraction, exponent: (biased === 0n ? 1n : biased) - 1075n };
}

function fixed(x: number): bigint {
  const { fraction, exponent } = exact(x);
  const shift = exponent + BITS;
  return shift >= 0n ? fraction << shift : fraction >> -shift;
}

function log1pOf(x: bigint): bigint {
  let u = ONE + x;
  let twos = 0n;
  while (u >= 2n * ONE) {
    u >>= 1n;
    twos++;
  }
  while (u < ONE) {
    u <<= 1n;
    twos--;
  }
  return 2n * artanh(((u - ONE) * ONE) / (u + ONE)) + twos * LN2;
}

function artanh(s: bigint): bigint {
  const square = (s * s) / ONE;
  let power = s;
  let sum = 0n;
  for (let n = 1n; power !== 0n; n += 2n) {
    sum += power / n;
    power = (power * square) / ONE;
  }
  return sum;
}

const LN2 = 2n * artanh(ONE / 3n);
