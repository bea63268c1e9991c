/** Which registered definitions a query is for. */
import type { Definition, FeatureReference } from "../define/definition.ts";
import { versionOf } from "./definition-set.ts";
import type { FindQuery, Registered } from "./registry.ts";

/** In the order of `registered`. */
export function findDefinitions(
  registered: readonly Registered<Definition>[],
  query: FindQuery,
): readonly Registered<Definition>[] {
  const all = registered.map(({ definition }) => definition);
  return registered.filter(({ definition }) => matches(definition, query) && isOfEntity(definition, query.entity, all));
}

/** An entity's are itself, its views, the sources they fold, and whatever reads one of their features. */
function isOfEntity(definition: Definition, entity: string | undefined, all: readonly Definition[]): boolean {
  if (entity === undefined) return true;
  const isRead = ({ view, version }: FeatureReference): boolean =>
    all.some((one) => {
      if (one.name !== view || versionOf(one) !== version) return false;
      if (one.kind === "view") return one.entity === entity;
      return one.kind === "on-demand" && one.inputs.some(isRead);
    });
  switch (definition.kind) {
    case "entity":
      return definition.name === entity;
    case "stream":
    case "batch":
      return all.some((one) => one.kind === "view" && one.entity === entity && one.source === definition.name);
    case "view":
      return definition.entity === entity;
    case "on-demand":
      return definition.inputs.some(isRead);
    case "service":
      return definition.features.some(isRead);
    default:
      return false;
  }
}

/** A tag or owner of any of its features counts as its own. */
function matches(definition: Definition, query: FindQuery): boolean {
  const parts = definition.kind === "view" ? [definition, ...definition.features] : [definition];
  return (
    (query.kind === undefined || definition.kind === query.kind) &&
    (query.name === undefined || definition.name === query.name) &&
    (query.version === undefined || versionOf(definition) === query.version) &&
    (query.tag === undefined || parts.some((part) => part.tags?.includes(query.tag!) === true)) &&
    (query.owner === undefined || parts.some((part) => part.owner === query.owner))
  );
}
