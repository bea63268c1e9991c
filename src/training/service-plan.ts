/**
 * A service as training reads it: its distinct views, their entities, and where each feature comes from.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName, type EntityDefinition } from "../define/definition.ts";
import type { ValueType } from "../schema/value.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";

export interface PlannedFeature {
  /** Name in the vector. */
  readonly name: string;
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
  /** Distinct entities in the order of first use. */
  readonly entities: readonly EntityDefinition[];
  /** Distinct views in the order of first use. */
  readonly views: readonly PlannedView[];
  /** Names of all features in the order of the vector. */
  readonly featureNames: readonly string[];
}

/** Throws `SERVICE_UNKNOWN`, `VIEW_UNKNOWN`, `FEATURE_UNKNOWN`, `FINGERPRINT_MISMATCH`. */
export function planService(ports: TrainingPorts, service: string): ServicePlan {
  const { definition, fingerprint } = ports.registry.service(service);
  const entities: EntityDefinition[] = [];
  const views = new Map<string, Omit<PlannedView, "features"> & { readonly features: PlannedFeature[] }>();
  for (const reference of definition.features) {
    const name = formatViewName({ name: reference.view, version: reference.version });
    let planned = views.get(name);
    if (planned === undefined) {
      const view = ports.view(reference.view, reference.version);
      let entityIndex = entities.findIndex((entity) => entity.name === view.entity.name);
      if (entityIndex < 0) entityIndex = entities.push(view.entity) - 1;
      planned = { name, view, entityIndex, features: [] };
      views.set(name, planned);
    }
    const { slot, type } = featureSlot(planned.view, reference.feature);
    planned.features.push({ name: reference.as, feature: reference.feature, type, slot });
  }
  const featureNames = definition.features.map((feature) => feature.as);
  return { service, fingerprint, entities, views: [...views.values()], featureNames };
}

/** Where a view's read buffer has a feature. Throws `FEATURE_UNKNOWN`. */
export function featureSlot(view: TrainingView, feature: string): { readonly slot: number; readonly type: ValueType } {
  const slot = view.fold.features.findIndex((candidate) => candidate.name === feature);
  if (slot >= 0) return { slot, type: view.fold.features[slot]!.type };
  throw new OnefoldError("FEATURE_UNKNOWN", `view ${formatViewName(view.definition)} has no feature "${feature}"`, {
    candidates: view.fold.features.map((candidate) => candidate.name),
  });
}
