/**
 * Which drafts of a definitions file can be registered as they are, with nothing else being registered or changed:
 * everything they are computed from must be a draft too, or stand in the registry just as in the file.
 */
import type { Definition } from "../define/definition.ts";
import { keyOf, shownName, versionOf } from "../registry/definition-set.ts";
import type { Plan } from "../registry/registry.ts";

export interface ReadyDrafts {
  /** Drafts and what they are computed from, to be applied. */
  readonly definitions: readonly Definition[];
  /** By `name@dev`: what keeps a draft from being applied. */
  readonly waiting: ReadonlyMap<string, string>;
}

export function isDraft(definition: Definition): boolean {
  return versionOf(definition) === "dev";
}

/** `plan` is that of all `definitions`. */
export function readyDrafts(definitions: readonly Definition[], plan: Plan): ReadyDrafts {
  const byKey = new Map(definitions.map((definition) => [keyOf(definition), definition]));
  const changes = new Map(plan.changes.map(({ kind, name, change }) => [`${kind} ${name}`, change]));
  const ready = new Set<Definition>();
  const waiting = new Map<string, string>();
  for (const draft of definitions.filter(isDraft)) {
    const needed = neededBy(draft, byKey);
    const obstacle = needed.find(
      (one) => !isDraft(one) && changes.get(`${one.kind} ${shownName(one)}`) !== "unchanged",
    );
    if (obstacle === undefined) for (const one of needed) ready.add(one);
    else {
      const name = `${obstacle.kind} ${shownName(obstacle)}`;
      const state = changes.get(name) === "add" ? "is not registered" : "is not registered as it stands here";
      waiting.set(shownName(draft), `${name} ${state}: run onefold apply once`);
    }
  }
  return { definitions: [...ready], waiting };
}

/** The definition and all that it is computed from, as far as the file has it. */
function neededBy(definition: Definition, byKey: ReadonlyMap<string, Definition>): Definition[] {
  const keys =
    definition.kind === "view"
      ? [`entity:${definition.entity}`, `source:${definition.source}`]
      : definition.kind === "on-demand"
        ? definition.inputs.map((input) => `view:${input.view}@${input.version}`)
        : [];
  const needed = keys.flatMap((key) => {
    const found = byKey.get(key);
    return found === undefined ? [] : neededBy(found, byKey);
  });
  return [...needed, definition];
}
