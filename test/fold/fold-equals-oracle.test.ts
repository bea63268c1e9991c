/**
 * Every read of the fold equals the naive oracle over `(windowStart, asOf]`: random views, events and reads.
 *
 * ONEFOLD_SEED=n runs that one case, ONEFOLD_CASES=n that many: of ten thousand and more there is much that is rarely met.
 */
import { describe, expect, it } from "vitest";
import type { GeneratedAggregations } from "../../src/testing/view-generator.ts";
import { type CaseCounts, runCase } from "./fold-case.ts";
import { caseCount } from "../case-count.ts";

const FIRST_SEED = 1;
const USUAL = 3000;
const CASES = caseCount(USUAL);

const only: string | undefined = process.env["ONEFOLD_SEED"];

function runCases(cases: number, aggregations: GeneratedAggregations): CaseCounts {
  const counts: CaseCounts = {
    events: 0,
    poison: 0,
    answers: 0,
    approximate: 0,
    shifted: 0,
    cutSessions: 0,
    lateSessions: 0,
    decodings: 0,
  };
  const seeds = only === undefined ? Array.from({ length: cases }, (_, i) => FIRST_SEED + i) : [Number(only)];
  for (const seed of seeds) {
    try {
      runCase(seed, counts, aggregations);
    } catch (error) {
      throw new Error(
        `seed ${seed} of ${aggregations} (rerun with ONEFOLD_SEED=${seed}): ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }
  return counts;
}

describe("real-time computation: the fold and the naive oracle", () => {
  it("agree on every feature of every random case", { timeout: 240_000 }, () => {
    const counts = runCases(CASES, "basic");
    if (only === undefined && CASES >= USUAL) {
      // the cases reach what they are meant to reach
      expect(counts.poison).toBeGreaterThan(300);
      expect(counts.decodings).toBeGreaterThan(3000);
      expect(counts.shifted).toBeGreaterThan(300);
      expect(counts.answers).toBeGreaterThan(60_000);
    }
  });

  it("agree on sessions and their number, of late and out-of-order events too", { timeout: 240_000 }, () => {
    const counts = runCases(Math.ceil(CASES / 2), "sessions");
    if (only === undefined && CASES >= USUAL) {
      expect(counts.decodings).toBeGreaterThan(1500);
      expect(counts.cutSessions).toBeGreaterThan(20);
      expect(counts.lateSessions).toBeGreaterThan(20);
      expect(counts.answers).toBeGreaterThan(30_000);
    }
  });

  it(
    "agree on summaries, decayed sums and times: exact, or within the error that the read states",
    {
      timeout: 240_000,
    },
    () => {
      const counts = runCases(Math.ceil(CASES / 4), "summaries");
      if (only === undefined && CASES >= USUAL) {
        expect(counts.decodings).toBeGreaterThan(750);
        expect(counts.shifted).toBeGreaterThan(75);
        expect(counts.approximate).toBeGreaterThan(75);
        expect(counts.answers).toBeGreaterThan(15_000);
      }
    },
  );
});
