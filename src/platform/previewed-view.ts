/**
 * Which definitions a preview is of: those of the file that is being worked on before those that are registered.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import {
  type Definition,
  type EntityDefinition,
  formatViewName,
  type OnDemandDefinition,
  type SourceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import { onDemandIsNoView } from "../registry/on-demand-is-no-view.ts";
import type { Registry } from "../registry/registry.ts";
import type { SampleKeeper } from "../training/entity-sample.ts";
import type { PreviewRequest } from "../training/preview.ts";

export interface PreviewOptions {
  readonly view: string;
  /** Default: the last one in `definitions`, else the highest that is registered. */
  readonly version?: number | "dev";
  readonly definitions?: readonly Definition[];
  /** Default 20. */
  readonly entityCount?: number;
  /** Keeps the sampled events for the next preview, which is quicker then. */
  readonly keeper?: SampleKeeper;
}

export interface PreviewedView {
  readonly view: ViewDefinition;
  readonly source: SourceDefinition;
  readonly entity: EntityDefinition;
}

/** Throws `VIEW_UNKNOWN`, and `SOURCE_UNKNOWN` or `ENTITY_UNKNOWN` for what is in neither. */
export function previewedView(options: PreviewOptions, registry: Registry | null): PreviewedView {
  const given = options.definitions ?? [];
  const view = findView(options, given) ?? registeredView(options, given, registry);
  const source = given.find(
    (one): one is SourceDefinition => (one.kind === "stream" || one.kind === "batch") && one.name === view.source,
  );
  const entity = given.find((one): one is EntityDefinition => one.kind === "entity" && one.name === view.entity);
  return {
    view,
    source: source ?? registered(registry, "source", view.source, (known) => known.source(view.source).definition),
    entity: entity ?? registered(registry, "entity", view.entity, (known) => known.entity(view.entity).definition),
  };
}

/** What is asked for, without the ports. Throws as `previewedView`. */
export function previewRequest(options: PreviewOptions, registry: Registry | null): Omit<PreviewRequest, "ports"> {
  const { entityCount, keeper } = options;
  return {
    ...previewedView(options, registry),
    ...(entityCount === undefined ? {} : { entityCount }),
    ...(keeper === undefined ? {} : { keeper }),
  };
}

function findView({ view, version }: PreviewOptions, given: readonly Definition[]): ViewDefinition | undefined {
  return given.findLast(
    (one): one is ViewDefinition =>
      one.kind === "view" && one.name === view && (version === undefined || one.version === version),
  );
}

function registeredView(
  { view, version }: PreviewOptions,
  given: readonly Definition[],
  registry: Registry | null,
): ViewDefinition {
  const known = registry?.views().map(({ definition }) => definition) ?? [];
  const found = known.findLast((one) => one.name === view && (version === undefined || one.version === version));
  if (found !== undefined) return found;
  const computed = [...given, ...(registry?.onDemandViews() ?? []).map(({ definition }) => definition)];
  const onDemand = computed.find((one): one is OnDemandDefinition => one.kind === "on-demand" && one.name === view);
  if (onDemand !== undefined) throw onDemandIsNoView(onDemand);
  const views = [...given.filter((one): one is ViewDefinition => one.kind === "view"), ...known];
  const name = version === undefined ? view : formatViewName({ name: view, version });
  const names = views.map((one) => (version === undefined ? one.name : formatViewName(one)));
  throw new OnefoldError("VIEW_UNKNOWN", `there is no view "${name}"`, {
    hint: "write a view's name, or name@version",
    candidates: [...new Set(nearestNames(name, names))],
  });
}

function registered<D>(
  registry: Registry | null,
  kind: "source" | "entity",
  name: string,
  find: (known: Registry) => D,
): D {
  if (registry !== null) return find(registry);
  throw new OnefoldError(kind === "source" ? "SOURCE_UNKNOWN" : "ENTITY_UNKNOWN", `there is no ${kind} "${name}"`);
}
