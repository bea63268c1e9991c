/** Features by what is known of them, as it is asked for over HTTP. */
import { formatViewName } from "../../define/definition.ts";
import type { Registry } from "../../registry/registry.ts";
import { describeType } from "../../schema/value.ts";
import type { FeatureListDesk } from "../../serve/feature-list-desk.ts";
import { arrangeFeatures, type FeatureHouse } from "./feature-columns.ts";

export function featureListDesk(house: FeatureHouse): FeatureListDesk {
  return {
    list: async ({ entity, view, ...asked }) => {
      if (entity !== undefined) house.registry.entity(entity);
      if (view !== undefined) refuseUnknownView(house.registry, view);
      const rows = house.registry
        .views()
        .filter(({ definition }) => entity === undefined || definition.entity === entity)
        .filter(({ definition }) => view === undefined || [definition.name, formatViewName(definition)].includes(view))
        .flatMap(({ definition }) =>
          definition.features.map((feature) => ({
            feature: feature.name,
            view: formatViewName(definition),
            entity: definition.entity,
            ...describeType(feature.type),
          })),
        );
      const { columns, rows: arranged } = await arrangeFeatures(house, rows, asked);
      return {
        features: arranged.map((row) => ({
          ...row,
          ...Object.fromEntries(columns.map(({ name, json }) => [name, json(row)])),
        })),
      };
    },
  };
}

/** Throws `VIEW_UNKNOWN`. */
function refuseUnknownView(registry: Registry, view: string): void {
  const isThere = registry
    .views()
    .some(({ definition }) => [definition.name, formatViewName(definition)].includes(view));
  if (!isThere) registry.view(view);
}
