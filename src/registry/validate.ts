/**
 * Whether definitions hold together: each by itself, and all that refer to one another. Says everything
 * that is wrong at once, each with where it was written.
 */
import { OnefoldError } from "../base/errors.ts";
import { placeOf } from "../define/defined-at.ts";
import {
  type Definition,
  type FeatureReference,
  formatViewName,
  type OnDemandDefinition,
  type ServiceDefinition,
} from "../define/definition.ts";
import { ruleProblems } from "../define/alert-problems.ts";
import { destinationProblems } from "../define/destination.ts";
import { entityProblems } from "../define/entity.ts";
import { experimentProblems } from "../define/experiment-problems.ts";
import { onDemandProblems } from "../define/on-demand.ts";
import { requestColumnsOf } from "../define/request-columns.ts";
import { serviceProblems } from "../define/service.ts";
import { sourceProblems } from "../define/source-problems.ts";
import type { FeatureTypes } from "../define/transformation-type.ts";
import { viewProblems } from "../define/view-problems.ts";
import type { ValueType } from "../schema/value.ts";
import { keyOf, shownName } from "./definition-set.ts";
import { experimentOfName, experimentReferenceProblems } from "./experiment-references.ts";
import { watchedProblems } from "./watched-problems.ts";
import { unknownName as unknown } from "./unknown-name.ts";

export interface DefinitionProblem {
  readonly definition: Definition;
  readonly message: string;
}

/** All that is wrong with `given`, held against themselves and what is `registered`. */
export function problemsOf(given: readonly Definition[], registered: readonly Definition[]): DefinitionProblem[] {
  const all = new Map<string, Definition>();
  for (const definition of registered) all.set(keyOf(definition), definition);
  const problems: DefinitionProblem[] = [];
  const seen = new Map<string, Definition>();
  for (const definition of given) {
    const key = keyOf(definition);
    const twin = seen.get(key);
    if (twin !== undefined && twin !== definition) {
      problems.push({ definition, message: `it is defined twice, the first time at ${placeOf(twin)}` });
    }
    seen.set(key, definition);
    all.set(key, definition);
  }
  const known = [...all.values()];
  for (const definition of seen.values()) {
    for (const message of problemsOfOne(definition, all, known)) problems.push({ definition, message });
  }
  return problems;
}

/** Throws `DEFINITION_INVALID` that lists every problem, one a line with its place. */
export function refuseProblems(problems: readonly DefinitionProblem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(
    ({ definition, message }) => `${placeOf(definition)}: ${definition.kind} "${shownName(definition)}": ${message}`,
  );
  const [first] = problems;
  throw new OnefoldError(
    "DEFINITION_INVALID",
    lines.length === 1 ? lines[0]! : `${lines.length} problems\n  ${lines.join("\n  ")}`,
    { where: placeOf(first!.definition) },
  );
}

function problemsOfOne(
  definition: Definition,
  all: ReadonlyMap<string, Definition>,
  known: readonly Definition[],
): string[] {
  switch (definition.kind) {
    case "entity":
      return entityProblems(definition);
    case "stream":
    case "batch":
      return sourceProblems(definition);
    case "view": {
      const entity = all.get(`entity:${definition.entity}`);
      const source = all.get(`source:${definition.source}`);
      if (entity?.kind === "entity" && (source?.kind === "stream" || source?.kind === "batch")) {
        return viewProblems(definition, source, entity);
      }
      return [
        ...(entity === undefined ? [unknown("entity", definition.entity, namesOf(known, ["entity"]))] : []),
        ...(source === undefined ? [unknown("source", definition.source, namesOf(known, ["stream", "batch"]))] : []),
      ];
    }
    case "on-demand":
      return [
        ...onDemandProblems(definition),
        ...definition.inputs.flatMap((reference) => [
          ...referenceProblems(reference, all, known, definition),
          ...(definition.version === "dev" ? [] : draftProblems(reference)),
        ]),
        ...requestColumnsOf(definition.inputs, onDemandIn(all)).problems,
      ];
    case "service":
      return [
        ...serviceProblems(definition, typesOfFeatures(definition, all)),
        ...definition.features.flatMap((reference) => [
          ...referenceProblems(reference, all, known, definition),
          ...draftProblems(reference),
        ]),
        ...requestColumnsOf(definition.features, onDemandIn(all)).problems,
        ...experimentOfName(definition.name, known),
      ];
    case "experiment": {
      const problems = experimentProblems(definition);
      return problems.length > 0 ? problems : experimentReferenceProblems(definition, all, known);
    }
    case "webhook":
    case "command":
      return destinationProblems(definition);
    case "alert":
    case "retrain":
      return [...ruleProblems(definition), ...watchedProblems(definition, all, known)];
  }
}

/** Types of all its features, or null where one is of a view that is not there: that is a problem of its own. */
function typesOfFeatures(service: ServiceDefinition, all: ReadonlyMap<string, Definition>): FeatureTypes | null {
  const types = new Map<string, ValueType>();
  for (const { view: name, version, feature, as } of service.features) {
    const view = all.get(`view:${formatViewName({ name, version })}`);
    const features = view?.kind === "view" ? view.features : view?.kind === "on-demand" ? view.outputs : [];
    const type = features.find((one) => one.name === feature)?.type;
    if (type === undefined) return null;
    types.set(as, type);
  }
  return types;
}

/** Whatever is registered under a number keeps its meaning, so nothing under it may change. */
function draftProblems(reference: FeatureReference): string[] {
  if (reference.version !== "dev") return [];
  return [
    `${formatReference(reference)} is of a draft, which may change: services and numbered versions read numbered versions`,
  ];
}

function onDemandIn(
  all: ReadonlyMap<string, Definition>,
): (name: string, version: number | "dev") => OnDemandDefinition | null {
  return (name, version) => {
    const found = all.get(`view:${formatViewName({ name, version })}`);
    return found?.kind === "on-demand" ? found : null;
  };
}

function formatReference({ view, version, feature }: FeatureReference): string {
  return `${view}@${version}.${feature}`;
}

function referenceProblems(
  reference: FeatureReference,
  all: ReadonlyMap<string, Definition>,
  known: readonly Definition[],
  from: Definition,
): string[] {
  const name = formatViewName({ name: reference.view, version: reference.version });
  const view = all.get(`view:${name}`);
  if (view === undefined) {
    const names = known.filter((one) => one.kind === "view" || one.kind === "on-demand").map(shownName);
    return [unknown("view", name, names)];
  }
  if (from.kind === "on-demand" && reachesItself(view, from, all))
    return [`it is computed from itself, through ${name}`];
  const features = view.kind === "view" ? view.features : view.kind === "on-demand" ? view.outputs : [];
  if (features.some((feature) => feature.name === reference.feature)) return [];
  return [
    unknown(
      `feature of ${name}`,
      reference.feature,
      features.map((feature) => feature.name),
    ),
  ];
}

function reachesItself(
  view: Definition,
  target: Definition,
  all: ReadonlyMap<string, Definition>,
  visited: Set<Definition> = new Set(),
): boolean {
  if (keyOf(view) === keyOf(target)) return true;
  if (view.kind !== "on-demand" || visited.has(view)) return false;
  visited.add(view);
  return view.inputs.some((input) => {
    const next = all.get(`view:${formatViewName({ name: input.view, version: input.version })}`);
    return next !== undefined && reachesItself(next, target, all, visited);
  });
}

function namesOf(definitions: readonly Definition[], kinds: readonly Definition["kind"][]): string[] {
  return definitions.filter((definition) => kinds.includes(definition.kind)).map((definition) => definition.name);
}
