/** Whether definitions are those that a plan was made of: a file may be edited between its plan and its apply. */
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { definitionsDigest } from "../registry/plan-review.ts";

/** `digest`: of those that were planned; `where`: what to look at. Throws `PLAN_STALE`. */
export function refuseOtherDefinitions(definitions: readonly Definition[], digest: string, where: string): void {
  if (definitionsDigest(definitions) === digest) return;
  throw new OnefoldError("PLAN_STALE", "the definitions are not those that were planned", {
    where,
    hint: "plan again, and look at what is planned now",
  });
}
