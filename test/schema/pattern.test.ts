/** Patterns of definitions meet texts of anyone. */
import { describe, expect, it } from "vitest";
import { compilePattern, patternProblem } from "../../src/schema/pattern.ts";

describe("a pattern", () => {
  it("is found anywhere in the text, and anchored where it says so", () => {
    expect(["AA", "xAAx", "A"].map(compilePattern("A{2}"))).toEqual([true, true, false]);
    expect(["AA", "xAAx", "AA\n"].map(compilePattern("^A{2}$"))).toEqual([true, false, false]);
    expect(["straße", "strasse"].map(compilePattern("^\\pL+$"))).toEqual([true, true]);
  });

  it("takes time in proportion to the text, also where a backtracking one takes for ever", () => {
    const started = performance.now();
    for (const pattern of ["^(a+)+$", "^(a|a)*b?$", "^(.*)*x$"]) compilePattern(pattern)(`${"a".repeat(100_000)}!`);
    // A backtracking engine is not done with 40 characters within a day.
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it("is refused with the reason where it is none, or cannot be found in that time", () => {
    expect(patternProblem("^[A-Z]{2}$")).toBeUndefined();
    for (const [pattern, why] of [
      ["(", "missing closing"],
      ["(?=a)", "invalid or unsupported Perl syntax"],
      ["(a)\\1", "invalid escape sequence"],
      ["a{2000}", "invalid repeat count"],
      ["a".repeat(501), "more than 500 characters"],
      ["", "not a regular expression"],
      [7, "not a regular expression"],
    ] as const) {
      expect(patternProblem(pattern)).toContain(why);
    }
  });
});
