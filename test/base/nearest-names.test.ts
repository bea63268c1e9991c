import { describe, expect, it } from "vitest";
import { nearestNames } from "../../src/base/nearest-names.ts";
import { promised } from "../promised.ts";

const NAMES = ["mean_delay_1h", "mean_delay_3h", "arrivals_1h", "worst_delay", "origin", "airport"];

describe("nearest names", () => {
  it.each([
    ["mean_delay_2h", ["mean_delay_1h", "mean_delay_3h"]],
    ["orgin", ["origin"]],
    ["roigin", ["origin"]],
    ["Origin", ["origin"]],
    ["delay", ["worst_delay", "mean_delay_1h", "mean_delay_3h"]],
    ["zzzzzz", []],
    ["x", []],
  ])("of %s are %o", (name, expected) => {
    expect(nearestNames(name, NAMES)).toEqual(expected);
  });

  it("counts a swap of neighbours as one edit, and sorts ties by name", () => {
    expect(nearestNames("ab", ["ba", "ac", "cb", "xyz"])).toEqual(["ac", "ba", "cb"]);
  });

  it("names each once, at most as many as asked for", () => {
    expect(nearestNames("a1", ["a2", "a2", "a3", "a4", "a5"], 2)).toEqual(["a2", "a3"]);
  });

  it("of millions of characters are found at once", () => {
    const startMs = performance.now();
    expect(nearestNames("x".repeat(16_000_000), NAMES)).toEqual([]);
    expect(nearestNames(`${"x".repeat(16_000_000)}origin`, NAMES)).toEqual(["origin"]);
    expect(performance.now() - startMs).toBeLessThan(promised(2000));
  });
});
