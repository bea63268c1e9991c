/**
 * An event of the benchmark's source, and how its account is called. Apart from the definitions, so that the
 * thread that pushes events loads nothing of the platform.
 */
import type { Micros } from "../../src/base/micros.ts";

/** An event's row, in the order of the source's columns. */
export type PaymentRow = readonly [account: string, at: Micros, amount: number, declined: boolean];

/** As `redis-benchmark` writes a random number. */
export function accountKey(number: number): string {
  return `a${String(number).padStart(12, "0")}`;
}

/** What stands in `redis-benchmark`'s commands for an account at random. */
export const RANDOM_ACCOUNT = "a__rand_int__";
