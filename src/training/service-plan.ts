/**
 * A service as training reads it: its program (or several, for rows of several fits), the distinct views behind it,
 * their entities, and where each feature that is needed comes from.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName, type EntityDefinition, type FeatureReference } from "../define/definition.ts";
import type { ValueType } from "../schema/value.ts";
import { compileServiceProgram, qualifiedName, type ServiceProgram } from "../vector/service-program.ts";
import { type ServiceToCompute, serviceToCompute, withoutTransformations } from "../vector/service-to-compute.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";

export interface PlannedFeature {
  /** Place in the plan's inputs. */
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

/** The program of one definition of the service, with one fit: of all label rows, or of those that it served. */
export interface PlannedProgram extends ServiceToCompute {
  readonly program: ServiceProgram;
  /** Place of each of its inputs among the plan's. */
  readonly inputs: readonly number[];
  /** `view@version` of the views it reads. */
  readonly views: ReadonlySet<string>;
}

export interface ServicePlan {
  readonly service: string;
  readonly fingerprint: string;
  /** Distinct entities in the order of first use. */
  readonly entities: readonly EntityDefinition[];
  /** Distinct views in the order of first use. */
  readonly views: readonly PlannedView[];
  /** What the vector is made of. Its inputs are the first of the plan's, in their order. */
  readonly program: ServiceProgram;
  /** That program first, then those that label rows are computed by instead (see `served-fits.ts`). */
  readonly programs: readonly PlannedProgram[];
  /** Distinct features of views that the programs read. */
  readonly inputCount: number;
  /** On-demand views that they run. */
  readonly onDemand: readonly {
    readonly name: string;
    readonly version: number | "dev";
    readonly fingerprint: string;
  }[];
}

/** Throws what `ports.view`, `serviceToCompute` and `compileServiceProgram` throw. */
export function planService(ports: TrainingPorts, service: string, fit?: number): ServicePlan {
  return planPrograms(ports, serviceToCompute(ports.registry, ports.fits, service, fit));
}

/** The features alone, as the service's transformations are fitted to them. Throws `FIT_IMPOSSIBLE` where none is fitted. */
export function planFeatures(ports: TrainingPorts, service: string): ServicePlan {
  const { definition, fingerprint } = ports.registry.service(service);
  return planPrograms(ports, { definition: withoutTransformations(definition), fingerprint, fit: null });
}

/** A service, and others that some of the label rows are computed by. Throws what `planService` throws. */
export function planPrograms(
  ports: TrainingPorts,
  service: ServiceToCompute,
  others: readonly ServiceToCompute[] = [],
): ServicePlan {
  const entities: EntityDefinition[] = [];
  const views = new Map<string, Omit<PlannedView, "features"> & { readonly features: PlannedFeature[] }>();
  const places = new Map<string, number>();
  const placeOf = (reference: FeatureReference): number => {
    const qualified = qualifiedName(reference);
    const known = places.get(qualified);
    if (known !== undefined) return known;
    const name = viewNameOf(reference);
    let planned = views.get(name);
    if (planned === undefined) {
      const view = ports.view(reference.view, reference.version);
      let entityIndex = entities.findIndex((entity) => entity.name === view.entity.name);
      if (entityIndex < 0) entityIndex = entities.push(view.entity) - 1;
      planned = { name, view, entityIndex, features: [] };
      views.set(name, planned);
    }
    const input = places.size;
    planned.features.push({ input, feature: reference.feature, ...featureSlot(planned.view, reference.feature) });
    places.set(qualified, input);
    return input;
  };
  const programs = [service, ...others].map((one): PlannedProgram => {
    const program = compileServiceProgram(one.definition, ports.registry, one.fit?.parameters);
    const inputs = program.inputs.map(placeOf);
    return { ...one, program, inputs, views: new Set(program.inputs.map(viewNameOf)) };
  });
  const registered = ports.registry.onDemandViews();
  const run = new Map(programs.flatMap(({ program }) => program.onDemand).map((one) => [formatViewName(one), one]));
  const onDemand = [...run.values()].map(({ name, version }) => {
    const found = registered.find((one) => one.definition.name === name && one.definition.version === version)!;
    return { name, version, fingerprint: found.fingerprint };
  });
  return {
    service: service.definition.name,
    fingerprint: service.fingerprint,
    entities,
    views: [...views.values()],
    program: programs[0]!.program,
    programs,
    inputCount: places.size,
    onDemand,
  };
}

function viewNameOf({ view, version }: FeatureReference): string {
  return formatViewName({ name: view, version });
}

/** Where a view's read buffer has a feature. Throws `FEATURE_UNKNOWN`. */
export function featureSlot(view: TrainingView, feature: string): { readonly slot: number; readonly type: ValueType } {
  const slot = view.fold.features.findIndex((candidate) => candidate.name === feature);
  if (slot >= 0) return { slot, type: view.fold.features[slot]!.type };
  throw new OnefoldError("FEATURE_UNKNOWN", `view ${formatViewName(view.definition)} has no feature "${feature}"`, {
    candidates: view.fold.features.map((candidate) => candidate.name),
  });
}
