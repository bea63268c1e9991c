/**
 * Versions that were retired: nothing is folded, served or registered under them any more, and nothing ever will be.
 *
 * Their definitions are kept. So what was served of them can still be computed again from the log, and a number that once
 * meant something never means anything else.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { formatMicros } from "../base/micros.ts";
import type { RuleDefinition } from "../define/alert-definition.ts";
import { type Definition, formatViewName } from "../define/definition.ts";
import { formatVariant, namedVariants } from "../define/experiment-definition.ts";
import { serviceReference } from "../define/service-version.ts";
import { type AliasedKind, aliasesOf, type KeptVersion, keptVersions, kindOf, refuseAmbiguous } from "./alias-moves.ts";
import { toData } from "./definition-data.ts";
import { keyOf, shownName, versionOf } from "./definition-set.ts";
import { parseNamedVersion } from "./named-version.ts";
import { describeChange } from "./plan.ts";
import type { RegistryContent } from "./registry-content.ts";
import type { Plan, PlannedChange, Registered } from "./registry.ts";
import type { AskedRetirement, RetiredVersion } from "./retired-version.ts";
import { missedFeatures } from "./watched-problems.ts";

/** The version that is to be retired, or the experiment of this name. Throws `VIEW_UNKNOWN`, `SERVICE_UNKNOWN`, `REQUEST_INVALID`. */
export function versionToRetire(
  { definitions }: Pick<RegistryContent, "definitions">,
  { target, kind: wanted }: Pick<AskedRetirement, "target" | "kind">,
): Registered<Definition> {
  const experiment = definitions.find(
    ({ definition }) => definition.kind === "experiment" && definition.name === target,
  );
  if (experiment !== undefined && wanted === undefined) return experiment;
  const { name, version } = parseNamedVersion(target);
  const known = definitions.map(({ definition }) => definition);
  const kind = refuseAmbiguous(known, name, wanted);
  if (typeof version === "number") {
    const found = definitions.find(
      ({ definition }) => kindOf(definition) === kind && definition.name === name && versionOf(definition) === version,
    );
    if (found !== undefined) return found;
  }
  if (version === "dev") {
    throw new OnefoldError("REQUEST_INVALID", `${target} is a draft`, { hint: `onefold drop ${target}` });
  }
  const versions = known.filter((one) => one.name === name && kindOf(one) === kind).map(versionOf);
  throw new OnefoldError(kind === "view" ? "VIEW_UNKNOWN" : "SERVICE_UNKNOWN", `there is no ${kind} "${target}"`, {
    hint: "a version is retired by its number, as name@1",
    candidates: versions.filter((one) => one !== "dev").map((one) => `${name}@${one}`),
  });
}

/** What still needs the version, a line each, of all that the registry knows. */
export function readersOf(content: RegistryContent, retiring: Definition, now: Micros): readonly string[] {
  const { definitions, aliasMoves = [], experiments = [] } = content;
  if (retiring.kind === "experiment") {
    const steps = experiments.find((one) => one.name === retiring.name)?.steps ?? [];
    return steps.some((step) => "stopped" in step) ? [] : ["it runs: end it first with onefold experiments stop"];
  }
  const kind = kindOf(retiring);
  const version = versionOf(retiring);
  const isRetiring = (one: { readonly kind: AliasedKind; readonly name: string; readonly version: number }): boolean =>
    one.kind === kind && one.name === retiring.name && one.version === version;
  const others = definitions.map(({ definition }) => definition).filter((one) => keyOf(one) !== keyOf(retiring));
  return [
    ...aliasesOf(aliasMoves)
      .filter(isRetiring)
      .map(({ name, alias }) => `the alias ${name}@${alias} names it`),
    ...lastOfEach(keptVersions(aliasMoves, now).filter(isRetiring)).map(
      ({ name, alias, keptUntil }) => `it is kept until ${keptUntil}, so that ${name}@${alias} can go back to it`,
    ),
    ...others.filter((one) => reads(one, retiring, others)).map((one) => `${one.kind} ${shownName(one)} reads it`),
  ];
}

/** An alias may have left it several times: it is kept until the latest of what was said then. */
function lastOfEach(kept: readonly KeptVersion[]): readonly KeptVersion[] {
  const latest = new Map<string, KeptVersion>();
  for (const one of kept) {
    const before = latest.get(one.alias);
    if (before === undefined || before.keptUntil < one.keptUntil) latest.set(one.alias, one);
  }
  return [...latest.values()];
}

function reads(definition: Definition, retiring: Definition, others: readonly Definition[]): boolean {
  switch (definition.kind) {
    case "on-demand":
      return definition.inputs.some(({ view, version }) => isView(retiring, view, version));
    case "service":
      return definition.features.some(({ view, version }) => isView(retiring, view, version));
    case "experiment":
      // A stopped one, too: definitions that have it are held against what is registered at every plan.
      return (
        retiring.kind === "service" && namedVariants(definition).map(formatVariant).includes(serviceReference(retiring))
      );
    case "alert":
    case "retrain":
      return watches(definition, retiring, others);
    default:
      return false;
  }
}

function isView(retiring: Definition, name: string, version: number | "dev"): boolean {
  return kindOf(retiring) === "view" && retiring.name === name && versionOf(retiring) === version;
}

/**
 * By its version; by its name, where no other version is left that the name could mean; or by a feature that nothing else has.
 */
function watches(rule: RuleDefinition, retiring: Definition, others: readonly Definition[]): boolean {
  if (missedFeatures(rule, others).some((name) => !missedFeatures(rule, [...others, retiring]).includes(name)))
    return true;
  if (retiring.kind === "service") {
    const named = [...(rule.watches.services ?? []), ...(rule.kind === "retrain" ? [rule.service] : [])];
    const isLast = !others.some((one) => one.kind === "service" && one.name === retiring.name);
    return named.includes(serviceReference(retiring)) || (isLast && named.includes(retiring.name));
  }
  if (retiring.kind !== "view" && retiring.kind !== "on-demand") return false;
  return (rule.watches.views ?? []).includes(formatViewName(retiring));
}

/** Throws what `versionToRetire` throws, and `STILL_READ`. */
export function withoutVersion(
  content: RegistryContent,
  asked: AskedRetirement,
  now: Micros,
): { readonly content: RegistryContent; readonly retired: RetiredVersion } {
  const found = versionToRetire(content, asked);
  const readers = readersOf(content, found.definition, now);
  if (readers.length > 0) throw stillRead(found.definition, readers);
  const at = formatMicros(now);
  const retired = { ...found, retiredAt: at, by: asked.by };
  const change = { ...describeChange("remove", found.definition), details: [`retired by ${asked.by}`] };
  const replaced = [{ name: change.name, fingerprint: found.fingerprint, definition: toData(found.definition) }];
  const next = {
    ...content,
    definitions: content.definitions.filter((one) => one !== found),
    history: [...content.history, { at, changes: [change], replaced }],
    retired: [...(content.retired ?? []), retired],
  };
  return { content: next, retired };
}

export function stillRead(definition: Definition, readers: readonly string[]): OnefoldError {
  const name = shownReference(definition);
  return new OnefoldError("STILL_READ", `${name} cannot be retired:\n  ${readers.join("\n  ")}`, {
    hint: "have what reads it read another version first",
  });
}

export function shownReference(definition: Definition): string {
  return definition.kind === "service" ? serviceReference(definition) : shownName(definition);
}

/** The plan of definitions some of which were retired: as they were they are passed over, otherwise they are refused. */
export function planWithRetired(
  given: readonly Definition[],
  retired: ReadonlyMap<string, RetiredVersion>,
  fingerprintOf: (definition: Definition) => string,
  planOthers: (others: readonly Definition[]) => Plan,
): Plan {
  const gone = given.flatMap((definition): PlannedChange[] => {
    const known = retired.get(keyOf(definition));
    if (known === undefined) return [];
    const when = `it was retired at ${known.retiredAt} by ${known.by}`;
    if (fingerprintOf(definition) === known.fingerprint)
      return [describeChange("unchanged", definition, [`${when}: take it out of the definitions`])];
    return [describeChange("refuse", definition, [`${when}, and its number is not given again: take a higher one`])];
  });
  if (gone.length === 0) return planOthers(given);
  const plan = planOthers(given.filter((definition) => !retired.has(keyOf(definition))));
  return {
    ...plan,
    changes: [...plan.changes, ...gone],
    refused: plan.refused || gone.some(({ change }) => change === "refuse"),
  };
}
