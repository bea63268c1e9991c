/**
 * Special functions, of the Cephes library (Moshier, netlib.org/cephes), which SciPy took its own from.
 * Loaded at the first use: most processes never test anything.
 */
import { createRequire } from "node:module";

interface Cephes {
  igamc(a: number, x: number): number;
  erfc(x: number): number;
  smirnov(n: number, d: number): number;
}

let loaded: Cephes | null = null;

function cephes(): Cephes {
  // Its CommonJS form is ready when it is loaded; the other is ready some time later.
  loaded ??= createRequire(import.meta.url)("cephes") as Cephes;
  return loaded;
}

/** P(X > x) of a chi-square variable with so many degrees of freedom; 1 of none. */
export function chiSquareTail(x: number, degrees: number): number {
  if (degrees <= 0) return 1;
  if (x === Number.POSITIVE_INFINITY) return 0;
  return orUnderflow(() => cephes().igamc(degrees / 2, x / 2), x < degrees ? 1 : 0);
}

/** P(|Z| > z) of a standard normal variable. */
export function normalTwoSidedTail(z: number): number {
  return orUnderflow(() => cephes().erfc(Math.abs(z) / Math.SQRT2), 0);
}

/** P(D+ >= d), Smirnov's one-sided statistic of n values. */
export function smirnovTail(n: number, d: number): number {
  return orUnderflow(() => cephes().smirnov(n, d), 0);
}

/** It throws where a result is nearer to 0, or to 1, than a number can be. */
function orUnderflow(compute: () => number, limit: number): number {
  try {
    return compute();
  } catch (error) {
    if (error instanceof Error && error.message.includes("underflow")) return limit;
    throw error;
  }
}
