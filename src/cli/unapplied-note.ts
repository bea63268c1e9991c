/** What a server says of definitions that its file has and that are not registered so: it serves what is registered. */
import { asOnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import type { Platform } from "../platform.ts";

const NAMED_MAX = 3;

/** Null where the file says what is registered. */
export function unappliedNote(platform: Pick<Platform, "plan">, definitions: readonly Definition[]): string | null {
  const names: string[] = [];
  try {
    const { changes } = platform.plan(definitions);
    names.push(...changes.filter(({ change }) => change !== "unchanged").map(({ kind, name }) => `${kind} ${name}`));
  } catch (error) {
    return `the definitions file does not fit what is registered, which is served: ${asOnefoldError(error).message}`;
  }
  if (names.length === 0) return null;
  const more = names.length > NAMED_MAX ? [`${names.length - NAMED_MAX} more`] : [];
  const listed = [...names.slice(0, NAMED_MAX), ...more].join(", ");
  return `the definitions file differs from what is registered, which is served: ${listed}; onefold plan shows how, onefold apply registers it`;
}
