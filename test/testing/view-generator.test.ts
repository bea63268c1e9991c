/** Random views reach all there is: what they never draw is compared with no oracle. */
import { describe, expect, it } from "vitest";
import { AGGREGATION_TABLE } from "../../src/fold/aggregation-table.ts";
import { randomView } from "../../src/testing/view-generator.ts";
import { SeededRandom } from "../../src/testing/random.ts";

describe("random views", () => {
  it("draw every aggregation over every kind of window it has, with and without a predicate", () => {
    const drawn = new Set<string>();
    // the seeds that fold-equals-oracle.test.ts runs
    for (const [mode, seeds] of [
      ["basic", 10_000],
      ["summaries", 2500],
      ["sessions", 5000],
    ] as const) {
      for (let seed = 1; seed <= seeds; seed++) {
        for (const { aggregation } of randomView(new SeededRandom(seed), mode).features) {
          const over = aggregation.over?.kind ?? "none";
          drawn.add(`${aggregation.fn} ${over} ${aggregation.where === undefined ? "all" : "where"}`);
        }
      }
    }
    const wanted = Object.keys(AGGREGATION_TABLE).flatMap((fn) =>
      (fn === "rate" ? ["time"] : ["none", "time", "last", "session"]).flatMap((over) => [
        `${fn} ${over} all`,
        `${fn} ${over} where`,
      ]),
    );
    expect([...drawn].toSorted()).toEqual(wanted.toSorted());
  });

  it("draw summaries over windows, and sessions only where they are asked for", () => {
    for (let seed = 1; seed <= 300; seed++) {
      for (const mode of ["basic", "summaries"] as const) {
        const { features } = randomView(new SeededRandom(seed), mode);
        expect(features.some(({ aggregation }) => aggregation.over?.kind === "session")).toBe(false);
        expect(features.some(({ aggregation }) => aggregation.fn === "countSessions")).toBe(false);
      }
    }
  });
});
