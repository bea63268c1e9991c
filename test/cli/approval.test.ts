/** Who must say yes to a plan, and what happens where nobody does. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { applyApproved, approve, type Terminal } from "../../src/cli/approval.ts";
import { count, type Definition, entity, mean, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { type ReviewedPlan, reviewedPlan } from "../../src/platform/reviewed-plan.ts";
import type { ApplyConditions, Plan } from "../../src/registry/registry.ts";
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

const user = entity("user", { user: t.string() });
const clicks = stream("clicks", { columns: { user: t.string(), at: t.timestamp(), n: t.int64() }, eventTime: "at" });
const totals = view("totals", { entity: user, source: clicks, features: { clicks: count(), mean_n: mean("n") } });
const narrow = [user, clicks, totals, service("model", { features: [totals.pick("clicks")] })];

describe("what nobody had to see", () => {
  let folder: string;
  let platform: Platform;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-approval-"));
    platform = await openPlatform({ dataDir: folder });
  });
  afterEach(async () => {
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  });
  const plan = (): Promise<ReviewedPlan> => reviewedPlan(platform, narrow);

  /** What others register, each after another plan was made. */
  function applying(...meanwhile: readonly Definition[]): {
    readonly attempts: string[];
    apply(conditions: ApplyConditions): Promise<Plan>;
  } {
    const attempts: string[] = [];
    const others = [...meanwhile];
    const apply = async (conditions: ApplyConditions): Promise<Plan> => {
      attempts.push(String(conditions.onlyOver));
      const other = others.shift();
      if (other !== undefined) await platform.apply([user, clicks, totals, other]);
      return platform.apply(narrow, conditions);
    };
    return { attempts, apply };
  }

  it("is judged anew where somebody registers something meanwhile, and refused where it breaks that", async () => {
    const { attempts, apply } = applying(service("model", { features: [totals] }));
    await expect(applyApproved(plan, nobody, apply)).rejects.toMatchObject({ code: "APPROVAL_REQUIRED" });
    expect(attempts).toHaveLength(1);
    expect(platform.registry.service("model").definition.features).toHaveLength(2);
  });

  it("is so where there was nothing to change, too", async () => {
    await platform.apply(narrow);
    const { apply } = applying(service("model", { features: [totals] }));
    await expect(applyApproved(plan, nobody, apply)).rejects.toMatchObject({ code: "APPROVAL_REQUIRED" });
    expect(platform.registry.service("model").definition.features).toHaveLength(2);
  });

  it("is applied once it breaks nothing over what is there then", async () => {
    const { attempts, apply } = applying(
      service("one", { features: [totals] }),
      service("two", { features: [totals] }),
    );
    expect(await applyApproved(plan, nobody, apply)).toMatchObject({ dirty: true });
    expect(new Set(attempts).size).toBe(3);
    expect(platform.registry.services()).toHaveLength(3);
  });

  it("is not tried for ever where the registry is not what has changed, and not at all where somebody saw it", async () => {
    let attempts = 0;
    const stale = (): Promise<never> => {
      attempts++;
      return Promise.reject(new OnefoldError("PLAN_STALE", "the definitions are others"));
    };
    await expect(applyApproved(plan, nobody, stale)).rejects.toMatchObject({ code: "PLAN_STALE" });
    expect(attempts).toBe(2);
    await expect(applyApproved(plan, answering("yes").terminal, stale)).rejects.toMatchObject({ code: "PLAN_STALE" });
    expect(attempts).toBe(3);
  });
});

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
