/** What the rules of alerts need to know of services and views, from the registry. */
import { formatViewName } from "../../define/definition.ts";
import { serviceReference } from "../../define/service-version.ts";
import type { ServiceParts } from "../../monitor/alerts/rule.ts";
import type { Registry } from "../../registry/registry.ts";

/**
 * As registered now: one for each round. What an on-demand feature is computed from belongs to the service, too, under the
 * name of the feature.
 */
export function servicePartsOf(registry: Registry): ServiceParts {
  const sources = new Map(registry.views().map(({ definition }) => [formatViewName(definition), definition.source]));
  const onDemand = new Map(registry.onDemandViews().map(({ definition }) => [formatViewName(definition), definition]));
  type Part = ReturnType<ServiceParts["featuresOf"]>[number];
  const partsOf = (view: string, feature: string, as: string, seen: ReadonlySet<string>): Part[] => {
    const computed = seen.has(view) ? undefined : onDemand.get(view);
    const inputs = (computed?.inputs ?? []).flatMap((input) =>
      partsOf(
        formatViewName({ name: input.view, version: input.version }),
        input.feature,
        as,
        new Set([...seen, view]),
      ),
    );
    return [{ view, feature, as }, ...inputs];
  };
  const parts = new Map<string, Part[]>();
  for (const { definition } of registry.services()) {
    const ofVersion = definition.features.flatMap(({ view, version, feature, as }) =>
      partsOf(formatViewName({ name: view, version }), feature, as, new Set()),
    );
    parts.set(serviceReference(definition), ofVersion);
    parts.set(definition.name, [...(parts.get(definition.name) ?? []), ...ofVersion]);
  }
  return { featuresOf: (service) => parts.get(service) ?? [], sourceOf: (view) => sources.get(view) ?? null };
}
