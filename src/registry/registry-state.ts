/**
 * One text for all that is registered: who planned on it can tell whether it is what they planned on.
 */
import { OnefoldError } from "../base/errors.ts";
import { hashText } from "./definition-data.ts";
import { encodeRegistry, type RegistryContent } from "./registry-content.ts";

/** SHA-256 of the content as it is stored, its history with it: what was changed and changed back is another state. */
export function stateOf(content: RegistryContent): string {
  return hashText(encodeRegistry(content));
}

/** The refusal of an apply whose plan was made over other content. */
export function stalePlan({ history }: Pick<RegistryContent, "history">): OnefoldError {
  const last = history.at(-1);
  const names = last?.changes.map(({ kind, name }) => `${kind} ${name}`).join(", ");
  const since = last === undefined ? "" : `: last at ${last.at} (${names})`;
  return new OnefoldError("PLAN_STALE", `the registry has changed since the plan was made${since}`, {
    hint: "plan again, and look at what is planned now",
  });
}
