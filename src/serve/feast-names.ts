/**
 * Feature references as Feast's clients write them, as a service of no name: `view:feature`,
 * `view@2:feature`, of views and on-demand views of any entities.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { formatViewName, type FeatureReference, type ServiceDefinition } from "../define/definition.ts";
import type { Registry } from "../registry/registry.ts";

/**
 * Without a version the highest number. With `fullNames` a feature is called `view__feature`. Throws
 * `REQUEST_INVALID` for what is no reference and for two of one name, `VIEW_UNKNOWN`, `FEATURE_NOT_ONLINE`.
 */
export function serviceOfReferences(
  registry: Registry,
  references: readonly string[],
  fullNames: boolean,
): ServiceDefinition {
  const features = references.map((text) => {
    const [view = "", feature] = text.split(":", 2);
    if (feature === undefined || feature === "" || view === "") {
      throw new OnefoldError("REQUEST_INVALID", `"${text}" is not a feature reference`, {
        where: "features",
        hint: "write view:feature or view@version:feature",
      });
    }
    const reference = resolve(registry, view, feature);
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

function resolve(registry: Registry, view: string, feature: string): FeatureReference {
  const at = view.lastIndexOf("@");
  const name = at < 0 ? view : view.slice(0, at);
  const wanted = at < 0 ? null : view.slice(at + 1);
  const known = [...registry.views(), ...registry.onDemandViews()].map(({ definition }) => definition);
  const versions = known.filter((one) => one.name === name);
  const found =
    wanted === null
      ? versions
          .filter((one) => one.version !== "dev")
          .sort((a, b) => Number(a.version) - Number(b.version))
          .at(-1)
      : versions.find((one) => String(one.version) === wanted);
  if (found === undefined) {
    throw new OnefoldError("VIEW_UNKNOWN", `there is no view "${view}"`, {
      where: `${view}:${feature}`,
      candidates:
        versions.length > 0
          ? versions.map(formatViewName)
          : nearestNames(
              name,
              known.map((one) => one.name),
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
