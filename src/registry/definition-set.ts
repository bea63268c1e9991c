/**
 * Definitions by kind and name: what validation, planning and look-ups stand on.
 */
import { type Definition, formatViewName } from "../define/definition.ts";

/**
 * What a definition is registered under. Streams and batch sources share one space of names, as do views
 * and on-demand views, whose versions are separate entries; alerts and retraining; webhooks and commands.
 */
export function keyOf(definition: Definition): string {
  switch (definition.kind) {
    case "entity":
    case "service":
    case "experiment":
      return `${definition.kind}:${definition.name}`;
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

/** `name`, or `name@version` where it has one. */
export function shownName(definition: Definition): string {
  return definition.kind === "view" || definition.kind === "on-demand" ? formatViewName(definition) : definition.name;
}

/** Numbered versions by number, "dev" before them all: the highest number is what a name alone means. */
export function compareVersions(a: number | "dev", b: number | "dev"): number {
  return (a === "dev" ? 0 : a) - (b === "dev" ? 0 : b);
}
