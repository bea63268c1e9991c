/**
 * Every read of the fold equals the naive oracle over `(windowStart, asOf]`: random views, events and reads.
 *
 * ONEFOLD_SEED=n runs that one case, ONEFOLD_CASES=n that many.
 */
import { describe, expect, it } from "vitest";
import { type CaseCounts, runCase } from "./fold-case.ts";

const FIRST_SEED = 1;
const CASES = Number(process.env["ONEFOLD_CASES"] ?? 10_000);

describe("real-time computation: the fold and the naive oracle", () => {
  it("agree on every feature of every random case", { timeout: 240_000 }, () => {
    const counts: CaseCounts = { events: 0, poison: 0, answers: 0, shifted: 0, decodings: 0 };
    const only = process.env["ONEFOLD_SEED"];
    const seeds = only === undefined ? Array.from({ length: CASES }, (_, i) => FIRST_SEED + i) : [Number(only)];
    for (const seed of seeds) {
      try {
        runCase(seed, counts);
      } catch (error) {
        throw new Error(`seed ${seed} (rerun with ONEFOLD_SEED=${seed}): ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    if (only === undefined && CASES >= 10_000) {
      // the cases reach what they are meant to reach
      expect(counts.poison).toBeGreaterThan(1000);
      expect(counts.decodings).toBeGreaterThan(10_000);
      expect(counts.shifted).toBeGreaterThan(1000);
      expect(counts.answers).toBeGreaterThan(200_000);
    }
  });
});
