/**
 * What an apply makes of the registry's content: the plan over what is there, the content after it, or the refusal where
 * something that is registered would change its meaning.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { toData } from "./definition-data.ts";
import { keyOf, shownName } from "./definition-set.ts";
import { withAppliedWeights } from "./experiment-steps.ts";
import { fingerprint, isSameInAll } from "./fingerprint.ts";
import { planChanges } from "./plan.ts";
import type { RegistryContent } from "./registry-content.ts";
import type { AppliedChange, Plan, Registered } from "./registry.ts";
import { planWithRetired } from "./retire-version.ts";

/** `registered`: the definitions of the content, by what they are registered under. */
export function planOver(
  definitions: readonly Definition[],
  registered: ReadonlyMap<string, Registered<Definition>>,
  { experiments, retired = [] }: RegistryContent,
): Plan {
  const gone = new Map(retired.map((one) => [keyOf(one.definition), one]));
  const known = new Map([...registered].map(([key, { definition }]) => [key, definition]));
  const retiredDefinitions = retired.map(({ definition }) => definition);
  return planWithRetired(definitions, gone, fingerprint, (others) =>
    planChanges(others, known, experiments, retiredDefinitions),
  );
}

/** The content after a plan that refuses nothing. `at`: when it is applied. */
export function appliedContent(
  content: RegistryContent,
  registered: ReadonlyMap<string, Registered<Definition>>,
  definitions: readonly Definition[],
  plan: Plan,
  at: string,
): RegistryContent {
  const next = new Map(registered);
  const replaced: AppliedChange["replaced"][number][] = [];
  const retired = new Set(content.retired?.map((one) => keyOf(one.definition)));
  for (const definition of new Map(definitions.map((one) => [keyOf(one), one])).values()) {
    if (retired.has(keyOf(definition))) continue;
    const before = next.get(keyOf(definition));
    const hash = fingerprint(definition);
    if (before !== undefined && isSameInAll(before, { definition, fingerprint: hash })) continue;
    if (before !== undefined && before.fingerprint !== hash) {
      replaced.push({
        name: shownName(definition),
        fingerprint: before.fingerprint,
        definition: toData(before.definition),
      });
    }
    next.set(keyOf(definition), { definition, fingerprint: hash, createdAt: before?.createdAt ?? at });
  }
  const changes = plan.changes.filter((change) => change.change !== "unchanged");
  const after = {
    ...content,
    definitions: [...next.values()],
    history: [...content.history, { at, changes, replaced }],
  };
  return withAppliedWeights(content, after, at);
}

/** Of a plan that refuses. */
export function definitionChanged(plan: Plan): OnefoldError {
  const refused = plan.changes.filter((change) => change.change === "refuse");
  const texts = refused.map(({ kind, name, details, where }) =>
    [`${kind} ${name}${where === undefined ? "" : ` (${where})`}`, ...details.map((line) => `  ${line}`)].join("\n  "),
  );
  const [first] = refused;
  return new OnefoldError(
    "DEFINITION_CHANGED",
    `what is registered would change its meaning:\n  ${texts.join("\n  ")}`,
    {
      ...(first?.where === undefined ? {} : { where: first.where }),
      hint: 'give a changed view the next version, or version "dev" while you work on it',
    },
  );
}
