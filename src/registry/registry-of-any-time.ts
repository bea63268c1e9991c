/**
 * The registry as it is, and with what was retired: those definitions are kept, so that what they served can be computed
 * again. Nothing is served by it, and nothing is registered over it.
 */
import type { Definition } from "../define/definition.ts";
import { versionOf } from "./definition-set.ts";
import { parseNamedVersion } from "./named-version.ts";
import type { Registered, Registry } from "./registry.ts";

export type RegistryOfAnyTime = Pick<
  Registry,
  "service" | "serviceOfFingerprint" | "view" | "onDemandViews" | "experiment" | "entity" | "codeProblem"
>;

/** What was retired is found by its number alone: a name, or an alias, means what it means now. */
export function registryOfAnyTime(registry: Registry): RegistryOfAnyTime {
  return {
    service: (text) => {
      const { name, version } = parseNamedVersion(text);
      return retired(registry, "service", name, version) ?? registry.service(text);
    },
    view: (text, given) => {
      const { name, version } = given === undefined ? parseNamedVersion(text) : { name: text, version: given };
      return retired(registry, "view", name, version) ?? registry.view(text, given);
    },
    onDemandViews: () => [...registry.onDemandViews(), ...retiredOf(registry, "on-demand")],
    experiment: (name) => retired(registry, "experiment", name, null) ?? registry.experiment(name),
    entity: (name) => registry.entity(name),
    serviceOfFingerprint: (wanted) => registry.serviceOfFingerprint(wanted),
    codeProblem: (definition) => registry.codeProblem(definition),
  };
}

type OfKind<K extends Definition["kind"]> = Registered<Extract<Definition, { readonly kind: K }>>;

function retired<K extends Definition["kind"]>(
  registry: Registry,
  kind: K,
  name: string,
  version: unknown,
): OfKind<K> | undefined {
  return retiredOf(registry, kind).find(
    ({ definition }) => definition.name === name && versionOf(definition) === version,
  );
}

function retiredOf<K extends Definition["kind"]>(registry: Registry, kind: K): readonly OfKind<K>[] {
  const all: readonly Registered<Definition>[] = registry.retired();
  return all.filter((one): one is OfKind<K> => one.definition.kind === kind);
}
