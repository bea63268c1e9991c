/**
 * How important each feature of a view is to the models that read it, by what they have reported: its share of all that a
 * model reported, and of several models the largest. What a transformation or an on-demand view makes counts for what it is
 * made of, in equal parts.
 */
import type { ServiceDefinition } from "../../define/definition.ts";
import { nodesOf } from "../../define/transformation-text.ts";
import type { ServiceParts } from "../../monitor/alerts/rule.ts";
import { serviceId, serviceReference } from "../../define/service-version.ts";
import { ImportanceStore } from "../../monitor/importance/importance-store.ts";
import type { Registry } from "../../registry/registry.ts";
import { servicePartsOf } from "./service-parts.ts";

/** By `view@version` and feature, `traffic@1.departures_1h`: from 0 to 1. Of each model the newest report counts. */
export async function featureImportances(dataDir: string, registry: Registry): Promise<ReadonlyMap<string, number>> {
  const store = new ImportanceStore(dataDir);
  const parts = servicePartsOf(registry);
  const largest = new Map<string, number>();
  for (const { definition } of registry.services()) {
    const models = new Set<string>();
    for (const { model, importances } of await store.of(serviceId(definition))) {
      if (models.has(model)) continue;
      models.add(model);
      for (const [feature, share] of sharesOf(definition, importances, parts)) {
        largest.set(feature, Math.max(share, largest.get(feature) ?? 0));
      }
    }
  }
  return largest;
}

function sharesOf(
  service: ServiceDefinition,
  importances: Readonly<Record<string, number>>,
  serviceParts: ServiceParts,
): Map<string, number> {
  const shares = new Map<string, number>();
  const total = Object.values(importances).reduce((sum, value) => sum + Math.abs(value), 0);
  if (total === 0) return shares;
  for (const [name, value] of Object.entries(importances)) {
    const parts = featuresBehind(service, name, serviceParts);
    for (const part of parts) shares.set(part, (shares.get(part) ?? 0) + Math.abs(value) / total / parts.length);
  }
  return shares;
}

/** The features of views that the value of this name is made of; none where the service has been changed since. */
export function featuresBehind(definition: ServiceDefinition, name: string, parts: ServiceParts): string[] {
  const { transform = [] } = definition;
  const made = transform.find((one) => one.name === name);
  const read =
    made === undefined
      ? [name]
      : [...new Set(nodesOf(made.node).flatMap((node) => (node.op === "input" ? [node.feature] : [])))];
  const stored = parts
    .featuresOf(serviceReference(definition))
    .filter(({ view, as }) => read.includes(as) && parts.sourceOf(view) !== null);
  return [...new Set(stored.map(({ view, feature }) => `${view}.${feature}`))];
}
