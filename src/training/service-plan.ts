/**
 * A service as training reads it: its program, the distinct views behind it, their entities, and where each
 * feature that the program needs comes from.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName, type EntityDefinition } from "../define/definition.ts";
import type { FittedService } from "../registry/fitted-service.ts";
import type { ValueType } from "../schema/value.ts";
import { compileServiceProgram, type ServiceProgram } from "../vector/service-program.ts";
import { type ServiceToCompute, serviceToCompute, withoutTransformations } from "../vector/service-to-compute.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";

export interface PlannedFeature {
  /** Place in the program's inputs. */
  readonly input: number;
  readonly feature: string;
  readonly type: ValueType;
  /** Slot in the view's read buffer. */
  readonly slot: number;
}

export interface PlannedView {
  /** `view@version`, as tokens name it. */
  readonly name: string;
  readonly view: TrainingView;
  /** Place of its entity in `ServicePlan.entities`. */
  readonly entityIndex: number;
  readonly features: readonly PlannedFeature[];
}

export interface ServicePlan {
  readonly service: string;
  readonly fingerprint: string;
  /** What its transformations were fitted to; null where none is fitted, or none is applied. */
  readonly fit: FittedService | null;
  /** Distinct entities in the order of first use. */
  readonly entities: readonly EntityDefinition[];
  /** Distinct views in the order of first use. */
  readonly views: readonly PlannedView[];
  /** What the vector is made of. */
  readonly program: ServiceProgram;
  /** On-demand views that it runs. */
  readonly onDemand: readonly {
    readonly name: string;
    readonly version: number | "dev";
    readonly fingerprint: string;
  }[];
}

/** Throws what `ports.view`, `serviceToCompute` and `compileServiceProgram` throw. */
export function planService(ports: TrainingPorts, service: string, fit?: number): ServicePlan {
  return planDefinition(ports, serviceToCompute(ports.registry, ports.fits, service, fit));
}

/** The features alone, as the service's transformations are fitted to them. Throws `FIT_IMPOSSIBLE` where none is fitted. */
export function planFeatures(ports: TrainingPorts, service: string): ServicePlan {
  const { definition, fingerprint } = ports.registry.service(service);
  return planDefinition(ports, { definition: withoutTransformations(definition), fingerprint, fit: null });
}

function planDefinition(ports: TrainingPorts, { definition, fingerprint, fit }: ServiceToCompute): ServicePlan {
  const program = compileServiceProgram(definition, ports.registry, fit?.parameters);
  const entities: EntityDefinition[] = [];
  const views = new Map<string, Omit<PlannedView, "features"> & { readonly features: PlannedFeature[] }>();
  for (const [input, reference] of program.inputs.entries()) {
    const name = formatViewName({ name: reference.view, version: reference.version });
    let planned = views.get(name);
    if (planned === undefined) {
      const view = ports.view(reference.view, reference.version);
      let entityIndex = entities.findIndex((entity) => entity.name === view.entity.name);
      if (entityIndex < 0) entityIndex = entities.push(view.entity) - 1;
      planned = { name, view, entityIndex, features: [] };
      views.set(name, planned);
    }
    planned.features.push({ input, feature: reference.feature, ...featureSlot(planned.view, reference.feature) });
  }
  const registered = ports.registry.onDemandViews();
  const onDemand = program.onDemand.map(({ name, version }) => {
    const found = registered.find((one) => one.definition.name === name && one.definition.version === version)!;
    return { name, version, fingerprint: found.fingerprint };
  });
  return { service: definition.name, fingerprint, fit, entities, views: [...views.values()], program, onDemand };
}

/** Where a view's read buffer has a feature. Throws `FEATURE_UNKNOWN`. */
export function featureSlot(view: TrainingView, feature: string): { readonly slot: number; readonly type: ValueType } {
  const slot = view.fold.features.findIndex((candidate) => candidate.name === feature);
  if (slot >= 0) return { slot, type: view.fold.features[slot]!.type };
  throw new OnefoldError("FEATURE_UNKNOWN", `view ${formatViewName(view.definition)} has no feature "${feature}"`, {
    candidates: view.fold.features.map((candidate) => candidate.name),
  });
}
