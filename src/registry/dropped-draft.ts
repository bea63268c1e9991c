/**
 * A registry's content without a draft: the draft goes, what it was stays in the history.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { Definition } from "../define/definition.ts";
import { toData } from "./definition-data.ts";
import { keyOf, shownName, versionOf } from "./definition-set.ts";
import { describeChange } from "./plan.ts";
import type { RegistryContent } from "./registry-content.ts";
import type { PlannedChange } from "./registry.ts";

/** `at`: RFC 3339. Throws `VIEW_UNKNOWN`, and `DEFINITION_INVALID` where another definition is computed from it. */
export function withoutDraft(
  content: RegistryContent,
  name: string,
  at: string,
): { readonly content: RegistryContent; readonly change: PlannedChange; readonly key: string } {
  const { definitions, history } = content;
  const drafts = definitions.filter(({ definition }) => versionOf(definition) === "dev");
  const dropped = drafts.find(({ definition }) => definition.name === name);
  if (dropped === undefined) {
    const names = drafts.map(({ definition }) => definition.name);
    throw new OnefoldError("VIEW_UNKNOWN", `there is no draft "${name}@dev"`, {
      candidates: nearestNames(name, names).map((near) => `${near}@dev`),
    });
  }
  const { definition } = dropped;
  const reader = definitions.find((one) => reads(one.definition, name));
  if (reader !== undefined) {
    const computed = shownName(reader.definition);
    throw new OnefoldError("DEFINITION_INVALID", `${computed} is computed from ${name}@dev`, {
      hint: `drop ${computed} first`,
    });
  }
  const change = describeChange("remove", definition);
  const replaced = [{ name: change.name, fingerprint: dropped.fingerprint, definition: toData(definition) }];
  const kept = definitions.filter((one) => one !== dropped);
  const without = { ...content, definitions: kept, history: [...history, { at, changes: [change], replaced }] };
  return { content: without, change, key: keyOf(definition) };
}

function reads(definition: Definition, draft: string): boolean {
  return (
    definition.kind === "on-demand" &&
    definition.inputs.some(({ view, version }) => view === draft && version === "dev")
  );
}
