/**
 * Whether what a rule names is there: sources, views, features, services and destinations. A rule over what nobody has
 * would say nothing and never fire. Expectations are known to those that judge them alone.
 */
import type { RuleDefinition } from "../define/alert-definition.ts";
import type { Definition } from "../define/definition.ts";
import { serviceReference } from "../define/service-version.ts";
import { shownName } from "./definition-set.ts";
import { unknownName } from "./unknown-name.ts";

export function watchedProblems(
  rule: RuleDefinition,
  all: ReadonlyMap<string, Definition>,
  known: readonly Definition[],
): string[] {
  const { sources = [], views = [], services = [] } = rule.watches;
  const shown = (...kinds: readonly Definition["kind"][]): string[] =>
    known.filter(({ kind }) => kinds.includes(kind)).map(shownName);
  const missing = (what: string, space: string, names: readonly string[], there: readonly string[]): string[] =>
    names.filter((name) => !all.has(`${space}:${name}`)).map((name) => unknownName(what, name, there));
  const trained = rule.kind === "retrain" ? [rule.service] : [];
  const destinations = shown("webhook", "command");
  return [
    ...missing("source", "source", sources, shown("stream", "batch")),
    ...missing("view", "view", views, shown("view", "on-demand")),
    ...serviceProblems([...services, ...trained], known),
    ...missing("destination", "destination", rule.to, destinations),
    ...(rule.kind === "retrain" ? commandProblems(rule.to, all) : []),
    ...missedFeatures(rule, known).map((name) => unknownName("feature", name, featuresOf(rule, known))),
  ];
}

/** A name without a version watches all versions that there are. */
function serviceProblems(names: readonly string[], known: readonly Definition[]): string[] {
  const there = known.flatMap((one) => (one.kind === "service" ? [one.name, serviceReference(one)] : []));
  const shown = known.flatMap((one) => (one.kind === "service" ? [shownName(one)] : []));
  return names.filter((name) => !there.includes(name)).map((name) => unknownName("service", name, shown));
}

function commandProblems(to: readonly string[], all: ReadonlyMap<string, Definition>): string[] {
  return to
    .filter((name) => all.get(`destination:${name}`)?.kind === "command")
    .map((name) => `"${name}" is a command: training is started by a webhook`);
}

/** What it watches that none of `known` has. */
export function missedFeatures(rule: RuleDefinition, known: readonly Definition[]): readonly string[] {
  const { features = [] } = rule.watches;
  if (features.length === 0) return [];
  const there = featuresOf(rule, known);
  return features.filter((name) => !there.includes(name));
}

/** Of the views that the rule names, or of any. */
function featuresOf({ watches: { views = [] } }: RuleDefinition, known: readonly Definition[]): readonly string[] {
  const names = known.flatMap((one) => {
    if (views.length > 0 && !views.includes(shownName(one))) return [];
    if (one.kind === "view") return one.features.map(({ name }) => name);
    if (one.kind === "on-demand") return one.outputs.map(({ name }) => name);
    // As the vector calls them.
    return one.kind === "service" && views.length === 0 ? one.features.map(({ as }) => as) : [];
  });
  return [...new Set(names)];
}
