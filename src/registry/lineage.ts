/**
 * What is computed from what, as edges: entity and source to view, view to on-demand view, either to service, service to
 * experiment.
 */
import { type Definition, type FeatureReference, formatViewName } from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import type { LineageEdge } from "./registry.ts";

/** Each edge once, in the order of the definitions. */
export function lineageOf(definitions: readonly Definition[]): LineageEdge[] {
  const onDemand = new Set(definitions.filter((one) => one.kind === "on-demand").map(formatViewName));
  const nameOfView = ({ view, version }: FeatureReference): string => {
    const name = formatViewName({ name: view, version });
    return `${onDemand.has(name) ? "on-demand" : "view"}:${name}`;
  };
  const edges = definitions.flatMap((definition): LineageEdge[] => {
    switch (definition.kind) {
      case "view": {
        const to = `view:${formatViewName(definition)}`;
        return [
          { from: `source:${definition.source}`, to },
          { from: `entity:${definition.entity}`, to },
        ];
      }
      case "on-demand": {
        const to = `on-demand:${formatViewName(definition)}`;
        return definition.inputs.map((input) => ({ from: nameOfView(input), to }));
      }
      case "service":
        return definition.features.map((feature) => ({
          from: nameOfView(feature),
          to: `service:${serviceId(definition)}`,
        }));
      case "experiment": {
        const { name, variants, shadow } = definition;
        const read = shadow === undefined ? variants : [...variants, shadow];
        return read.map(({ service, version }) => ({
          from: `service:${serviceId({ name: service, version })}`,
          to: `experiment:${name}`,
        }));
      }
      default:
        return [];
    }
  });
  return [...new Map(edges.map((edge) => [`${edge.from} ${edge.to}`, edge])).values()];
}
