/**
 * A service as training reads it: its program (or several, for rows of several fits), the distinct views behind it,
 * their entities, and where each feature that is needed comes from. Services that are planned together share the views.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName, type EntityDefinition, type FeatureReference } from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import { registryOfAnyTime } from "../registry/registry-of-any-time.ts";
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

/** What is joined: the same views and features for all services that are planned together. */
export interface JoinPlan {
  /** Distinct entities in the order of first use. */
  readonly entities: readonly EntityDefinition[];
  /** Distinct views in the order of first use. */
  readonly views: readonly PlannedView[];
  /** Distinct features of views that the programs read. */
  readonly inputCount: number;
}

/** What a service makes of that. */
export interface PlannedService {
  /** Its id. */
  readonly service: string;
  readonly fingerprint: string;
  /** What the vector is made of. */
  readonly program: ServiceProgram;
  /** That program first, then those that label rows are computed by instead (see `served-fits.ts`). */
  readonly programs: readonly PlannedProgram[];
  /** On-demand views that they run. */
  readonly onDemand: readonly {
    readonly name: string;
    readonly version: number | "dev";
    readonly fingerprint: string;
  }[];
}

/** A service that is planned by itself. */
export interface ServicePlan extends JoinPlan, PlannedService {}

/** Throws what `ports.view`, `serviceToCompute` and `compileServiceProgram` throw. */
export function planService(ports: TrainingPorts, service: string, fit?: number): ServicePlan {
  return planPrograms(ports, serviceToCompute(ports.registry, ports.fits, service, fit));
}

/** The features alone, as the service's transformations are fitted to them. Throws `FIT_IMPOSSIBLE` where none is fitted. */
export function planFeatures(ports: TrainingPorts, service: string): ServicePlan {
  const { definition, fingerprint } = ports.registry.service(service);
  return planPrograms(ports, { definition: withoutTransformations(definition), fingerprint, fit: null });
}

/**
 * A service, and others that some of the label rows are computed by. `entities` come first in the plan, whether it reads
 * them or not. Throws what `planService` throws.
 */
export function planPrograms(
  ports: TrainingPorts,
  service: ServiceToCompute,
  others: readonly ServiceToCompute[] = [],
  entities: readonly EntityDefinition[] = [],
): ServicePlan {
  const planner = new JoinPlanner(ports, entities);
  const planned = planner.add(service, others);
  return { ...planned, ...planner.plan() };
}

/** Gathers what services read, each view and each feature of it once. */
export class JoinPlanner {
  readonly #ports: TrainingPorts;
  readonly #entities: EntityDefinition[];
  readonly #views = new Map<string, Omit<PlannedView, "features"> & { readonly features: PlannedFeature[] }>();
  /** By `view@version:feature`. */
  readonly #places = new Map<string, number>();

  constructor(ports: TrainingPorts, entities: readonly EntityDefinition[] = []) {
    this.#ports = ports;
    this.#entities = [...entities];
  }

  /** Throws what `planService` throws. */
  add(service: ServiceToCompute, others: readonly ServiceToCompute[] = []): PlannedService {
    const registry = registryOfAnyTime(this.#ports.registry);
    const programs = [service, ...others].map((one): PlannedProgram => {
      const program = compileServiceProgram(one.definition, registry, one.fit?.parameters);
      const inputs = program.inputs.map((input) => this.#placeOf(input));
      return { ...one, program, inputs, views: new Set(program.inputs.map(viewNameOf)) };
    });
    const registered = registry.onDemandViews();
    const run = new Map(programs.flatMap(({ program }) => program.onDemand).map((one) => [formatViewName(one), one]));
    const onDemand = [...run.values()].map(({ name, version }) => {
      const found = registered.find((one) => one.definition.name === name && one.definition.version === version)!;
      return { name, version, fingerprint: found.fingerprint };
    });
    const { definition, fingerprint } = service;
    return { service: serviceId(definition), fingerprint, program: programs[0]!.program, programs, onDemand };
  }

  /** Of all that were added. */
  plan(): JoinPlan {
    return { entities: this.#entities, views: [...this.#views.values()], inputCount: this.#places.size };
  }

  #placeOf(reference: FeatureReference): number {
    const qualified = qualifiedName(reference);
    const known = this.#places.get(qualified);
    if (known !== undefined) return known;
    const name = viewNameOf(reference);
    let planned = this.#views.get(name);
    if (planned === undefined) {
      const view = this.#ports.view(reference.view, reference.version);
      let entityIndex = this.#entities.findIndex((entity) => entity.name === view.entity.name);
      if (entityIndex < 0) entityIndex = this.#entities.push(view.entity) - 1;
      planned = { name, view, entityIndex, features: [] };
      this.#views.set(name, planned);
    }
    const input = this.#places.size;
    planned.features.push({ input, feature: reference.feature, ...featureSlot(planned.view, reference.feature) });
    this.#places.set(qualified, input);
    return input;
  }
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
