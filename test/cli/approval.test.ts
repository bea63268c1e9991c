/** Who must say yes to a plan, and what happens where nobody does. */
import { describe, expect, it } from "vitest";
import { approve, type Terminal } from "../../src/cli/approval.ts";
import type { ReviewedPlan } from "../../src/platform/reviewed-plan.ts";
import type { Broken } from "../../src/registry/plan-review.ts";

function planWith(breaks: readonly Broken[], parts: Partial<ReviewedPlan> = {}): ReviewedPlan {
  return {
    format: "onefold-plan/1",
    base: "base",
    definitions: "definitions",
    changes: [{ change: "change", kind: "service", name: "model", details: [], breaks }],
    dirty: true,
    refused: false,
    removed: [],
    drift: [],
    backfills: [],
    rewrites: [],
    breaking: breaks.some(({ effect }) => effect === "stops"),
    ...parts,
  };
}
const stops: Broken = { effect: "stops", kind: "service", name: "model", why: "its vector loses x" };
const differs: Broken = { effect: "differs", kind: "service", name: "model", why: "x is another" };

function answering(answer: string): { readonly terminal: Terminal; readonly asked: string[] } {
  const asked: string[] = [];
  const ask = (question: string): Promise<string> => {
    asked.push(question);
    return Promise.resolve(answer);
  };
  return { terminal: { isTerminal: true, ask }, asked };
}
const nobody: Terminal = { isTerminal: false, ask: () => Promise.reject(new Error("there is no terminal")) };

describe("a plan", () => {
  it("is applied at a terminal by yes alone, once it was shown", async () => {
    const { terminal, asked } = answering(" yes\n");
    expect(await approve(planWith([stops]), terminal)).toBe(true);
    expect(asked[0]).toContain("breaks service model: its vector loses x");
    for (const answer of ["", "y", "no", "YES"]) {
      await expect(approve(planWith([]), answering(answer).terminal)).rejects.toMatchObject({ code: "CANCELLED" });
    }
  });

  it("is not asked about where there is nothing to say yes to", async () => {
    const { terminal, asked } = answering("no");
    expect(await approve(planWith([], { dirty: false }), terminal)).toBe(false);
    expect(await approve(planWith([], { refused: true }), terminal)).toBe(false);
    expect(asked).toEqual([]);
  });

  it("without a terminal is applied where nothing stops, and refused with what would where something does", async () => {
    expect(await approve(planWith([differs]), nobody)).toBe(false);
    await expect(approve(planWith([differs, stops]), nobody)).rejects.toMatchObject({
      code: "APPROVAL_REQUIRED",
      message: expect.stringMatching(/^it would break what is in use:\n {2}breaks service model: its vector loses x$/),
    });
  });
});
