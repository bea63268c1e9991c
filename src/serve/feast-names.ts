/**
 * Feature references as Feast's clients write them, as a service of no name: `view:feature`,
 * `view@2:feature`, `view@prod:feature`, of views and on-demand views of any entities.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import {
  formatViewName,
  type FeatureReference,
  type OnDemandDefinition,
  type ServiceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import type { AliasMove } from "../registry/alias-moves.ts";
import { meantVersion } from "../registry/meant-version.ts";
import { parseNamedVersion } from "../registry/named-version.ts";
import type { Registered, Registry } from "../registry/registry.ts";

/**
 * Without a version what its name alone means. With `fullNames` a feature is called `view__feature`. Throws
 * `REQUEST_INVALID` for what is no reference and for two of one name, `VIEW_UNKNOWN`, `FEATURE_NOT_ONLINE`.
 */
export function serviceOfReferences(
  registry: Registry,
  references: readonly string[],
  fullNames: boolean,
  moves: readonly AliasMove[] = registry.aliasMoves(),
): ServiceDefinition {
  const features = references.map((text) => {
    const [view = "", feature] = text.split(":", 2);
    if (feature === undefined || feature === "" || view === "") {
      throw new OnefoldError("REQUEST_INVALID", `"${text}" is not a feature reference`, {
        where: "features",
        hint: "write view:feature or view@version:feature",
      });
    }
    const reference = resolve(registry, moves, view, feature);
    return { ...reference, as: fullNames ? `${reference.view}__${feature}` : feature };
  });
  const names = features.map((feature) => feature.as);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new OnefoldError("REQUEST_INVALID", `two of the features are named "${twice}"`, {
      where: "features",
      hint: fullNames ? "ask for each once" : 'ask with "full_feature_names": true',
    });
  }
  return { kind: "service", name: "", features };
}

function resolve(registry: Registry, moves: readonly AliasMove[], view: string, feature: string): FeatureReference {
  const named = parseNamedVersion(view);
  const known: readonly Registered<ViewDefinition | OnDemandDefinition>[] = [
    ...registry.views(),
    ...registry.onDemandViews(),
  ];
  const versions = known.filter(({ definition }) => definition.name === named.name);
  // A draft is served to those who name it.
  const offered = named.version === null ? versions.filter(({ definition }) => definition.version !== "dev") : versions;
  const found = meantVersion("view", offered, named, moves)?.definition;
  if (found === undefined) {
    throw new OnefoldError("VIEW_UNKNOWN", `there is no view "${view}"`, {
      where: `${view}:${feature}`,
      candidates:
        versions.length > 0
          ? versions.map(({ definition }) => formatViewName(definition))
          : nearestNames(
              named.name,
              known.map(({ definition }) => definition.name),
            ),
    });
  }
  if (found.kind === "view" && !found.online) {
    throw new OnefoldError("FEATURE_NOT_ONLINE", `view ${formatViewName(found)} is declared not to be served`, {
      where: `${view}:${feature}`,
      hint: "declare it with online: true under a new version",
    });
  }
  return { view: found.name, version: found.version, feature };
}
