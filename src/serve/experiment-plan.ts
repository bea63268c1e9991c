/**
 * An experiment as it is asked for: what requests by its name carry, and which version's plan answers each.
 *
 *     keys, request data ──▶ unit ──▶ variant ──▶ its plan, with those of the keys and data that it reads
 *
 * A variant's plan is compiled when a unit is first served it: one that is not ready yet costs the others nothing.
 */
import { OnefoldError } from "../base/errors.ts";
import { type EntityDefinition, formatViewName } from "../define/definition.ts";
import { type ExperimentDefinition, formatVariant } from "../define/experiment-definition.ts";
import { experimentInputs, type FindView } from "../define/experiment-inputs.ts";
import { isExposureKept, variantAssigner } from "../define/unit-assignment.ts";
import type { Registry } from "../registry/registry.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Exposure } from "../schema/served-vector.ts";
import type { Column, Row } from "../schema/value.ts";
import type { ShadowAsk, ShadowTask } from "./shadow-task.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** That a unit was served a variant, and whether that goes to the serving log. */
export interface ServedExposure extends Exposure {
  readonly isKept: boolean;
  /** What is to be computed beside it; absent where the experiment has no shadow, or serves it this unit. */
  readonly shadow?: { readonly share: number; readonly task: () => ShadowTask };
}

/** What is read to answer a request. */
export interface ChosenVector {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
  readonly request: Row;
  /** Absent where it was not asked for by an experiment's name. */
  readonly exposure?: ServedExposure;
}

export interface ExperimentPlan {
  /** The name that it is asked for by: the experiment's. */
  readonly service: string;
  readonly experiment: ExperimentDefinition;
  /** Of all its variants, in the order that keys are given in. */
  readonly entities: readonly EntityDefinition[];
  /** Of all its variants, and the unit's own column. */
  readonly request: readonly Column[];
  /** For keys of the entities and values of the request columns. Throws what compiling the variant's plan throws. */
  choose(keys: readonly EntityKey[], request: Row): ChosenVector;
  /** The plan of a variant by its place. */
  variantPlan(variant: number): VectorPlan;
}

/** What a name stands for: a service, or an experiment. */
export type NamedPlan = VectorPlan | ExperimentPlan;

export function isExperiment(named: NamedPlan): named is ExperimentPlan {
  return "choose" in named;
}

/** What is read for these keys and this request data. */
export function chosenOf(named: NamedPlan, keys: readonly EntityKey[], request: Row): ChosenVector {
  return isExperiment(named) ? named.choose(keys, request) : { plan: named, keys, request };
}

/** A variant's plan, and where what it reads stands among what a request carries. */
interface VariantPlan {
  readonly plan: VectorPlan;
  readonly keyPlaces: readonly number[];
  readonly requestPlaces: readonly number[];
}

/** `planOf` gives the plan of `service@version`. Throws `EXPERIMENT_UNKNOWN`, and what the registry throws. */
export function compileExperiment(
  name: string,
  registry: Registry,
  planOf: (reference: string) => VectorPlan,
): ExperimentPlan {
  const { definition } = registry.experiment(name);
  const names = definition.variants.map(formatVariant);
  const steps = registry.experimentSteps(name);
  const isStopped = steps.some((step) => "stopped" in step);
  const services = names.map((variant) => registry.service(variant).definition);
  const inputs = experimentInputs(definition, services, viewsOf(registry));
  if (inputs.problems.length > 0)
    throw new OnefoldError("DEFINITION_INVALID", inputs.problems.join("; "), { where: `experiment ${name}` });
  const { request } = inputs;
  const entities = inputs.entities.map((entity) => registry.entity(entity).definition);
  const assign = variantAssigner(definition, steps);
  const { unit } = definition;
  const unitPlace =
    unit.from === "entity"
      ? inputs.entities.indexOf(unit.name)
      : request.findIndex((column) => column.name === unit.name);
  const variants = new Map<string, VariantPlan>();
  const variantOf = (reference: string): VariantPlan => {
    let variant = variants.get(reference);
    if (variant === undefined) {
      const plan = planOf(reference);
      variant = {
        plan,
        keyPlaces: plan.entities.map((entity) => inputs.entities.indexOf(entity.name)),
        requestPlaces: plan.request.map((wanted) => request.findIndex((column) => column.name === wanted.name)),
      };
      variants.set(reference, variant);
    }
    return variant;
  };
  const askOf = (reference: string, keys: readonly EntityKey[], row: Row): ShadowAsk => {
    const { plan, keyPlaces, requestPlaces } = variantOf(reference);
    const request = requestPlaces.map((place) => row[place]!);
    return { plan, keys: keyPlaces.map((place) => keys[place]!), request };
  };
  const shadow = definition.shadow === undefined || isStopped ? null : formatVariant(definition.shadow);
  const beside = (variant: string, keys: readonly EntityKey[], row: Row): Pick<ServedExposure, "shadow"> => {
    if (shadow === null || shadow === variant) return {};
    const plans = (): ReturnType<ShadowTask["plans"]> => {
      return { served: askOf(variant, keys, row), shadow: askOf(shadow, keys, row) };
    };
    const task = (): ShadowTask => ({ experiment: name, served: variant, shadow, plans });
    return { shadow: { share: definition.shadow!.share, task } };
  };
  return {
    service: name,
    experiment: definition,
    entities,
    request,
    choose: (keys, row) => {
      const unitText = unit.from === "entity" ? keys[unitPlace]! : String(row[unitPlace]);
      const variant = names[assign(unitText)]!;
      const isKept = isExposureKept(definition, unitText);
      const of = unit.from === "entity" ? { entity: unit.name } : {};
      const exposure = { experiment: name, variant, unit: unitText, ...of, isKept, ...beside(variant, keys, row) };
      return { ...askOf(variant, keys, row), exposure };
    },
    variantPlan: (place) => variantOf(names[place]!).plan,
  };
}

function viewsOf(registry: Registry): FindView {
  const all = [...registry.views(), ...registry.onDemandViews()].map(({ definition }) => definition);
  const byName = new Map(all.map((definition) => [formatViewName(definition), definition]));
  return (name, version) => byName.get(formatViewName({ name, version })) ?? null;
}
