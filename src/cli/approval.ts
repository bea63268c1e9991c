/**
 * Who says that a plan is to be applied: a person at the terminal, or whoever wrote `--auto-approve`. Where there is no
 * terminal to ask at, what breaks nothing is applied without, as it always was.
 */
import { createInterface } from "node:readline/promises";
import { OnefoldError } from "../base/errors.ts";
import type { ReviewedPlan } from "../platform/reviewed-plan.ts";
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
