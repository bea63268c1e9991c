/**
 * The p-value of the two-sample Kolmogorov-Smirnov test, two-sided, as `scipy.stats.ks_2samp` gives it by default.
 */
import { kolmogorovTail } from "./kolmogorov.ts";

/** As SciPy's method "auto": exact up to so many values in the larger sample. */
export const KS_EXACT_MAX = 10_000;
/** A p-value that is surely less is not worth the steps: the asymptotic one is as near to it as this. */
const P_VALUE_MIN = 1e-12;

export interface KsProbability {
  readonly pValue: number;
  /** "exact": of all orders in which so many values of both may come; "asymptotic": Kolmogorov's distribution. */
  readonly method: "exact" | "asymptotic";
}

/**
 * How probable a distance of at least `d` is between samples of m and n values of one continuous distribution; counted
 * while neither is of more than `exactMax`, in at most about `d m n` steps.
 */
export function ksProbability(d: number, m: number, n: number, exactMax: number = KS_EXACT_MAX): KsProbability {
  const size = (m * n) / (m + n);
  // Wei and Dudley, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", 2012: never more than this
  const isTiny = m !== n && 2.17 * Math.exp(-2 * d ** 2 * size) < P_VALUE_MIN;
  if (Math.max(m, n) <= exactMax && !isTiny) return { pValue: exactTail(d, m, n), method: "exact" };
  // as `kstwo` takes it: the whole number next to m n / (m + n), halves to the even one
  const floor = Math.floor(size);
  const whole = size - floor === 0.5 ? floor + (floor % 2) : Math.round(size);
  return { pValue: kolmogorovTail(whole, d), method: "asymptotic" };
}

function exactTail(d: number, m: number, n: number): number {
  const common = greatestCommonDivisor(m, n);
  const steps = Math.round(d * (m / common) * n);
  if (steps === 0) return 1;
  return Math.min(
    1,
    Math.max(0, m === n ? squareTail(n, steps) : bandTail(Math.max(m, n), Math.min(m, n), steps * common)),
  );
}

/**
 * The reflection series for samples of one size, in Horner's form: 2 (A0 (1 - A1 (1 - A2 (...)))), where Ak is a
 * product of `steps` quotients (Gnedenko and Korolyuk; Hodges, "The Significance Probability of the Smirnov Two-Sample
 * Test", Arkiv för Matematik 3(43), 1958).
 */
function squareTail(n: number, steps: number): number {
  let inner = 0;
  for (let k = Math.floor(n / steps); k >= 0; k--) {
    let factor = 1;
    for (let j = 0; j < steps; j++) factor = (factor * (n - k * steps - j)) / (n + k * steps + j + 1);
    inner = factor * (1 - inner);
  }
  return 2 * inner;
}

/**
 * The part of all lattice paths from (0, 0) to (m, n) that leave the band |x n - y m| < width: at each point in the band
 * the mean of its two neighbours, weighted by how many paths come over each; 1 outside (Viehmann, "Numerically more
 * stable computation of the p-values for the two-sample Kolmogorov-Smirnov test", arXiv:2102.08037, 2021).
 * m n / 2 steps at most.
 */
function bandTail(m: number, n: number, width: number): number {
  // The band moves up: what lies above it has not been reached, and is 1.
  const row = new Float64Array(n + 1).fill(1);
  let last = -1;
  for (let x = 0; x <= m; x++) {
    const [low, high] = bandOf(x, m, n, width);
    for (let y = low; y <= high; y++) {
      const below = y > low ? row[y - 1]! : 1;
      row[y] = x + y === 0 ? 0 : (x * row[y]! + y * below) / (x + y);
    }
    last = high;
  }
  return last === n ? row[n]! : 1;
}

/** First and last y in the band at x. */
function bandOf(x: number, m: number, n: number, width: number): [number, number] {
  let low = Math.max(0, Math.floor((x * n - width) / m));
  while (low <= n && x * n - low * m >= width) low++;
  let high = Math.min(n, Math.ceil((x * n + width) / m));
  while (high >= 0 && high * m - x * n >= width) high--;
  return [low, high];
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [a, b];
  while (smaller > 0) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}
