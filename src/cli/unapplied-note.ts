/** What a server says of definitions that its file has and that are not registered so. */
import { asOnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import type { Platform } from "../platform.ts";
import type { PlannedChange } from "../registry/registry.ts";

const NAMED_MAX = 3;

/** Null where the file says what is registered. */
export function unappliedNote(platform: Pick<Platform, "plan">, definitions: readonly Definition[]): string | null {
  let changes: readonly PlannedChange[];
  try {
    changes = platform.plan(definitions).changes.filter(({ change }) => change !== "unchanged");
  } catch (error) {
    return `the definitions file does not fit what is registered: ${asOnefoldError(error).message}`;
  }
  if (changes.length === 0) return null;
  const refused = changes.filter(({ change }) => change === "refuse");
  const then =
    refused.length === 0
      ? "onefold apply registers it"
      : `onefold apply refuses ${listed(refused)}: load what was applied, or give it the next version`;
  return `the definitions file differs from what is registered: ${listed(changes)}; onefold plan shows how, ${then}`;
}

function listed(changes: readonly PlannedChange[]): string {
  const names = changes.slice(0, NAMED_MAX).map(({ kind, name }) => `${kind} ${name}`);
  const more = changes.length > NAMED_MAX ? [`${changes.length - NAMED_MAX} more`] : [];
  return [...names, ...more].join(", ");
}
