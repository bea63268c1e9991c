/**
 * Definitions by kind and name: what validation, planning and look-ups stand on.
 */
import { type Definition, formatViewName } from "../define/definition.ts";
import { serviceId, versionOfService } from "../define/service-version.ts";

/**
 * What a definition is registered under. Streams and batch sources share one space of names, as do views
 * and on-demand views; alerts and retraining; webhooks and commands. Versions are separate entries.
 */
export function keyOf(definition: Definition): string {
  switch (definition.kind) {
    case "entity":
      return `entity:${definition.name}`;
    case "service":
      return `service:${serviceId(definition)}`;
    case "experiment":
      return `experiment:${definition.name}`;
    case "stream":
    case "batch":
      return `source:${definition.name}`;
    case "view":
    case "on-demand":
      return `view:${formatViewName(definition)}`;
    case "alert":
    case "retrain":
      return `rule:${definition.name}`;
    case "webhook":
    case "command":
      return `destination:${definition.name}`;
  }
}

/** What is registered, by what it is registered under; of several the last. */
export function byKey<R extends { readonly definition: Definition }>(all: readonly R[]): ReadonlyMap<string, R> {
  return new Map(all.map((one) => [keyOf(one.definition), one]));
}

/** `name`, or `name@version` where it has one; of a service its id. */
export function shownName(definition: Definition): string {
  switch (definition.kind) {
    case "view":
    case "on-demand":
      return formatViewName(definition);
    case "service":
      return serviceId(definition);
    default:
      return definition.name;
  }
}

/** Null of what has none. */
export function versionOf(definition: Definition): number | "dev" | null {
  switch (definition.kind) {
    case "view":
    case "on-demand":
      return definition.version;
    case "service":
      return versionOfService(definition);
    default:
      return null;
  }
}

/** Numbered versions by number, "dev" before them all: the highest number is what a name alone means. */
export function compareVersions(a: number | "dev", b: number | "dev"): number {
  return (a === "dev" ? 0 : a) - (b === "dev" ? 0 : b);
}
