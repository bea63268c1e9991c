/**
 * The point-in-time join equals brute force and the naive oracle: random views, logs and labels.
 *
 * ONEFOLD_SEED=n runs that one case, ONEFOLD_CASES=n that many.
 */
import { describe, expect, it } from "vitest";
import { type JoinCounts, runJoinCase } from "./join-case.ts";
import { caseCount } from "../case-count.ts";

const FIRST_SEED = 1;
const USUAL = 300;
const CASES = caseCount(USUAL);

describe("point-in-time correctness: the join", () => {
  it(
    "gives every label row once what brute force and the naive oracle give, as known, final and as served",
    { timeout: 480_000 },
    () => {
      const counts: JoinCounts = { labels: 0, answers: 0, unseen: 0, lateHidden: 0, coincident: 0, laterWindows: 0 };
      const only = process.env["ONEFOLD_SEED"];
      const seeds = only === undefined ? Array.from({ length: CASES }, (_, i) => FIRST_SEED + i) : [Number(only)];
      for (const seed of seeds) {
        try {
          runJoinCase(seed, counts);
        } catch (error) {
          throw new Error(`seed ${seed} (rerun with ONEFOLD_SEED=${seed}): ${(error as Error).message}`, {
            cause: error,
          });
        }
      }
      if (only !== undefined || CASES < USUAL) return;
      console.log(counts);
      // the cases reach what they are meant to reach
      expect(counts.answers).toBeGreaterThan(60_000);
      expect(counts.unseen).toBeGreaterThan(1_500);
      expect(counts.lateHidden).toBeGreaterThan(500);
      expect(counts.coincident).toBeGreaterThan(1_500);
      expect(counts.laterWindows).toBeGreaterThan(50);
    },
  );
});
