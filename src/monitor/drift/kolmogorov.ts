/**
 * P(D >= d) of Kolmogorov's two-sided statistic of n values.
 *
 * Which method goes where is that of Simard and L'Ecuyer, "Computing the Two-Sided Kolmogorov-Smirnov Distribution",
 * Journal of Statistical Software 39(11), 2011, as SciPy's `kstwo` has it; where they use Pomeranz's recursion, the
 * matrix of Marsaglia, Tsang and Wang ("Evaluating Kolmogorov's Distribution", JSS 8(18), 2003) gives the same.
 */
import { smirnovTail } from "./special-functions.ts";

const SMALL_N_MAX = 140;

export function kolmogorovTail(n: number, d: number): number {
  if (d >= 1) return 0;
  const nd = n * d;
  if (nd <= 0.5) return 1;
  // n! (2 d - 1/n)^n is below 1e-59 for larger n
  if (nd <= 1 && n > SMALL_N_MAX) return 1;
  if (nd >= n - 1) return clip(2 * (1 - d) ** n);
  if (d >= 0.5) return clip(2 * smirnovTail(n, d));
  const square = nd * d;
  if (square >= 370) return 0;
  if (square > (n <= SMALL_N_MAX ? 4 : 2.2)) return clip(2 * smirnovTail(n, d));
  if (n <= SMALL_N_MAX || (n <= 100_000 && n * d ** 1.5 <= 1.4)) return clip(1 - matrixBelow(n, d));
  return clip(1 - pelzGoodBelow(n, d));
}

function clip(p: number): number {
  return Math.min(1, Math.max(0, p));
}

const SCALE_BITS = 128;
const SCALE = 2 ** SCALE_BITS;

/** Durbin's matrix by Marsaglia, Tsang, Wang: (n! / n^n) times the middle of H^n, of size 2 ceil(n d) - 1. */
function matrixBelow(n: number, d: number): number {
  const k = Math.ceil(n * d);
  const h = k - n * d;
  const size = 2 * k - 1;
  const inverseFactorials = new Float64Array(size + 1);
  inverseFactorials[0] = 1;
  for (let i = 1; i <= size; i++) inverseFactorials[i] = inverseFactorials[i - 1]! / i;
  let base = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const below = row - column + 1;
      if (below >= 0) base[row * size + column] = inverseFactorials[below]!;
    }
  }
  for (let i = 0; i < size; i++) {
    const edge = (1 - h ** (i + 1)) * inverseFactorials[i + 1]!;
    base[i * size] = edge;
    base[(size - 1) * size + (size - 1 - i)] = edge;
  }
  const corner = 1 - 2 * h ** size + Math.max(2 * h - 1, 0) ** size;
  base[(size - 1) * size] = corner * inverseFactorials[size]!;

  let power: Float64Array | null = null;
  let powerScale = 0;
  let baseScale = 0;
  const middle = (k - 1) * size + (k - 1);
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) {
      power = power === null ? base : product(power, base, size);
      powerScale += baseScale;
    }
    if (rest === 1) break;
    base = product(base, base, size);
    baseScale *= 2;
    if (base[middle]! > SCALE) {
      base = base.map((cell) => cell / SCALE);
      baseScale += SCALE_BITS;
    }
  }
  let below = power![middle]!;
  for (let i = 1; i <= n; i++) {
    below = (below * i) / n;
    if (below < 1 / SCALE) {
      below *= SCALE;
      powerScale -= SCALE_BITS;
    }
  }
  return below * 2 ** powerScale;
}

function product(a: Float64Array, b: Float64Array, size: number): Float64Array<ArrayBuffer> {
  const result = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let inner = 0; inner < size; inner++) {
      const factor = a[row * size + inner]!;
      if (factor === 0) continue;
      for (let column = 0; column < size; column++) {
        result[row * size + column]! += factor * b[inner * size + column]!;
      }
    }
  }
  return result;
}

/**
 * The series in 1/sqrt(n) of Pelz and Good, "Approximating the Lower Tail-Areas of the Kolmogorov-Smirnov
 * One-Sample Statistic", JRSS B 38(2), 1976, to its fourth term.
 */
function pelzGoodBelow(n: number, d: number): number {
  const z = Math.sqrt(n) * d;
  const pi2 = Math.PI ** 2;
  const [pi4, pi6] = [pi2 ** 2, pi2 ** 3];
  const [z2, z4, z6] = [z ** 2, z ** 4, z ** 6];
  const terms = Math.ceil((16 * z) / Math.PI);
  let [k0, k1, k2, k3] = [0, 0, 0, 0];
  for (let k = terms; k >= 1; k--) {
    const m2 = (2 * k - 1) ** 2;
    const weight = Math.exp((-m2 * pi2) / (8 * z2));
    k0 += weight;
    k1 += weight * (-z2 + (pi2 / 4) * m2);
    k2 += weight * (6 * z6 + 2 * z4 + (pi2 / 4) * (2 * z4 - 5 * z2) * m2 + (pi4 / 16) * (1 - 2 * z2) * m2 ** 2);
    k3 +=
      weight *
      (-30 * z6 -
        90 * z ** 8 +
        (pi2 / 4) * (135 * z4 - 96 * z6) * m2 +
        (pi4 / 16) * (212 * z4 - 60 * z2) * m2 ** 2 +
        (pi6 / 64) * (5 - 30 * z2) * m2 ** 3);
  }
  let [extra2, extra3] = [0, 0];
  for (let k = terms; k >= 1; k--) {
    const weight = Math.exp((-(k ** 2) * pi2) / (2 * z2)) * k ** 2;
    extra2 += weight;
    extra3 += weight * (3 * z2 - pi2 * k ** 2);
  }
  const root = Math.sqrt(2 * Math.PI);
  const parts = [
    (root * k0) / z,
    (root * k1) / (6 * z4),
    (root * k2) / (72 * z ** 7) - (root * pi2 * extra2) / (36 * z ** 3),
    (root * k3) / (6480 * z ** 10) + (root * pi2 * extra3) / (216 * z6),
  ];
  return parts.reduce((sum, part, i) => sum + part / n ** (i / 2), 0);
}
