/**
 * What this process refuses because of its code: each definition of which it has other code than was registered, or none,
 * with the services and views that are refused for it. Pure: reads, never writes.
 */
import type { OnefoldError } from "../base/errors.ts";
import {
  type FeatureReference,
  formatViewName,
  type OnDemandDefinition,
  type ServiceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import { serviceReference, versionOfService } from "../define/service-version.ts";
import { keyOf } from "./definition-set.ts";
import type { Registry } from "./registry.ts";

export type CodeRegistry = Pick<
  Registry,
  "services" | "service" | "views" | "view" | "onDemandViews" | "codeProblem" | "isLoaded"
>;

type Computed = ViewDefinition | OnDemandDefinition | ServiceDefinition;

export interface CodeTrouble {
  /** What the definition is registered under. */
  readonly key: string;
  /** Which requests are refused, and why. */
  readonly text: string;
  readonly hint: string | null;
  /** Whether something that a name alone means is refused, and not only a version that has to be asked for. */
  readonly isMeant: boolean;
  /** No code of it is loaded; else it is other code. */
  readonly isAbsent: boolean;
  /** Applying what is loaded would make it what is registered. */
  readonly isCuredByApply: boolean;
}

export function codeTroubles(registry: CodeRegistry): readonly CodeTrouble[] {
  const services = registry.services().map(({ definition }) => definition);
  const views = registry.views().map(({ definition }) => definition);
  const onDemand = registry.onDemandViews().map(({ definition }) => definition);
  const served = [...views.filter(({ online }) => online), ...onDemand, ...services];
  const readers = new Map<string, Set<string>>();
  const byName = new Map([...views, ...onDemand].map((one) => [formatViewName(one), one]));
  for (const service of services) readBy(service, byName, readers);
  return served.flatMap((definition): CodeTrouble[] => {
    const error = registry.codeProblem(definition);
    if (error === null) return [];
    const key = keyOf(definition);
    const refused = services.filter((service) => readers.get(keyOf(service))!.has(key));
    const meant = refused.filter((service) => meansService(registry, service));
    const isMeantView = definition.kind === "view" && meansView(registry, definition);
    return [
      {
        key,
        text: textOf(
          definition,
          refused.map((one) => (meant.includes(one) ? one.name : serviceReference(one))),
          error,
        ),
        hint: error.hint ?? null,
        isMeant: meant.length > 0 || isMeantView,
        isAbsent: !registry.isLoaded(definition),
        isCuredByApply: registry.isLoaded(definition) && isRedefinable(definition, services),
      },
    ];
  });
}

/** Into `readers`, by the key of the service: the keys of all that it is computed from, its own among them. */
function readBy(
  service: ServiceDefinition,
  byName: ReadonlyMap<string, ViewDefinition | OnDemandDefinition>,
  readers: Map<string, Set<string>>,
): void {
  const read = new Set([keyOf(service)]);
  const follow = ({ view, version }: Pick<FeatureReference, "view" | "version">): void => {
    const found = byName.get(formatViewName({ name: view, version }));
    if (found === undefined || read.has(keyOf(found))) return;
    read.add(keyOf(found));
    if (found.kind === "on-demand") found.inputs.forEach(follow);
  };
  service.features.forEach(follow);
  readers.set(keyOf(service), read);
}

function meansService(registry: CodeRegistry, service: ServiceDefinition): boolean {
  return versionOfService(registry.service(service.name).definition) === versionOfService(service);
}

function meansView(registry: CodeRegistry, { name, version }: ViewDefinition): boolean {
  try {
    return registry.view(name).definition.version === version;
  } catch {
    // There are only drafts of it.
    return false;
  }
}

/** Numbered versions never change their meaning; drafts do, and the only version of a service. */
function isRedefinable(definition: Computed, services: readonly ServiceDefinition[]): boolean {
  if (definition.kind !== "service") return definition.version === "dev";
  return services.filter(({ name }) => name === definition.name).length === 1;
}

function textOf(definition: Computed, services: readonly string[], { code, message }: OnefoldError): string {
  const kind = definition.kind === "service" ? "" : `${definition.kind} `;
  const what =
    services.length === 0
      ? `requests that read ${kind}${formatViewName(definition as ViewDefinition)} are`
      : `${services.length === 1 ? "service" : "services"} ${services.join(", ")} ${services.length === 1 ? "is" : "are"}`;
  return `${what} refused with ${code}: ${message}`;
}
