/**
 * Who says that a plan is to be applied: a person at the terminal, or whoever wrote `--auto-approve`. Where there is no
 * terminal to ask at, what breaks nothing is applied without, as it always was. Either way what was judged is what is applied.
 */
import { createInterface } from "node:readline/promises";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { ReviewedPlan } from "../platform/reviewed-plan.ts";
import type { ApplyConditions } from "../registry/registry.ts";
import { brokenText, planText } from "./plan-text.ts";

export interface Terminal {
  readonly isTerminal: boolean;
  ask(question: string): Promise<string>;
}

/** Asks on stderr: stdout is the result's. */
export function processTerminal(): Terminal {
  return {
    isTerminal: process.stdin.isTTY === true && process.stderr.isTTY === true,
    async ask(question) {
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      const leaving = new AbortController();
      // The end of the input is no answer, and so is Ctrl-C: the question is not left open.
      lines.once("close", () => leaving.abort());
      try {
        return await lines.question(question, { signal: leaving.signal });
      } catch {
        return "";
      } finally {
        lines.close();
      }
    },
  };
}

/** Others may go ahead so often. */
const ATTEMPTS_MAX = 20;

/**
 * Plans, has the plan approved, and applies it over the registry that it was made over. Where that has changed meanwhile, a
 * plan that somebody saw is refused; one that nobody had to see is made anew and judged anew, as it may break something now.
 * Throws as `approve`, and what `plan` and `apply` throw.
 */
export async function applyApproved<T>(
  plan: () => Promise<ReviewedPlan>,
  terminal: Terminal,
  apply: (conditions: ApplyConditions) => Promise<T>,
): Promise<T> {
  let before: string | null = null;
  for (let attempt = 1; ; attempt++) {
    const reviewed = await plan();
    const wasSeen = await approve(reviewed, terminal);
    try {
      return await apply({ onlyOver: reviewed.base });
    } catch (error) {
      const isStale = isOnefoldError(error) && error.code === "PLAN_STALE";
      // Over the very registry once more: then the definitions are what has changed.
      if (!isStale || wasSeen || reviewed.base === before || attempt === ATTEMPTS_MAX) throw error;
      before = reviewed.base;
    }
  }
}

/**
 * Resolves to whether the very plan was approved by somebody who saw it. Throws `CANCELLED` where they did not approve,
 * `APPROVAL_REQUIRED` where nobody could be asked and it breaks something.
 */
export async function approve(plan: ReviewedPlan, terminal: Terminal): Promise<boolean> {
  if (!plan.dirty || plan.refused) return false;
  if (terminal.isTerminal) {
    const answer = await terminal.ask(`${planText(plan)}\n\nApply this? Only "yes" does: `);
    if (answer.trim() === "yes") return true;
    throw new OnefoldError("CANCELLED", "nothing was applied", {
      hint: "to apply without being asked: --auto-approve",
    });
  }
  if (!plan.breaking) return false;
  const broken = plan.changes.flatMap(({ breaks }) =>
    breaks.filter(({ effect }) => effect === "stops").map(brokenText),
  );
  throw new OnefoldError("APPROVAL_REQUIRED", `it would break what is in use:\n  ${broken.join("\n  ")}`, {
    hint: "give it --auto-approve, or the file of a plan that was reviewed: onefold plan --out FILE, onefold apply FILE",
  });
}
