/**
 * Transformations as code: what serving runs for a request, training for a label row and the audit for both.
 *
 * Values and their statuses lie in slots; a step reads some and writes its own. Statuses pass through:
 *
 * | input                                   | result                    | status                          |
 * |-----------------------------------------|---------------------------|---------------------------------|
 * | a value                                 | a value                   | the input's                     |
 * | a value                                 | none that is finite, an unseen category declared an error | ERROR |
 * | a value                                 | an unseen category declared null | NULL_VALUE, or the input's where that says more |
 * | null                                    | null                      | the input's: why it is null     |
 * | null, imputed                           | the value that stands in  | PRESENT for NULL_VALUE, else the input's: it is still unseen, too old or an error |
 * | several                                 | null where one of them is | the gravest of theirs           |
 */
import { Status, type StatusCode } from "../../fold/view-fold.ts";
import type { Value, ValueType } from "../../schema/value.ts";
import type { FittedParameters } from "../../registry/fitted-service.ts";
import { parametersOf } from "./step-parameters.ts";
import type { Apply, PresentValue } from "./operation.ts";
import { planSteps, type Step, type TransformedService } from "./steps.ts";

/** Where values lie while a vector is computed: parallel lists. */
export interface Slots {
  readonly values: Value[];
  readonly statuses: StatusCode[];
}

/** Where a service's features lie, and where there is room for what is computed from them. */
export interface SlotPlaces {
  /** In the order of the service's features. */
  readonly features: readonly number[];
  /** The first slot of those that steps write to. */
  readonly free: number;
}

export interface TransformedOutput {
  readonly name: string;
  readonly type: ValueType;
  readonly slot: number;
  /** The features it is made of, as places in the service's features. */
  readonly features: readonly number[];
  /** As one line; null for a feature as it is. */
  readonly transformation: string | null;
}

export interface CompiledTransformations {
  /** The vector, in its order. */
  readonly outputs: readonly TransformedOutput[];
  /** How many slots steps write to. */
  readonly slotCount: number;
  /** Computes them, from the features that the caller has put in their slots. Never throws. */
  run(slots: Slots): void;
}

/**
 * `types` are those of the service's features, in their order; `places` are 0, 1, ... where nothing else is
 * said. Throws `DEFINITION_INVALID`, `SERVICE_NOT_FITTED`, `FIT_CORRUPT`.
 */
export function compileTransformations(
  service: TransformedService,
  types: readonly ValueType[],
  fitted: FittedParameters | null,
  places: SlotPlaces = { features: types.map((_, i) => i), free: types.length },
): CompiledTransformations {
  const { steps, outputs } = planSteps(service, types);
  const slotOf = (place: number): number =>
    place < types.length ? places.features[place]! : places.free + place - types.length;
  const runs = steps.map((step, i) =>
    compileStep(step, step.inputs.map(slotOf), places.free + i, compileApply(step, fitted, service)),
  );
  const featuresOf = (place: number): number[] =>
    place < types.length ? [place] : steps[place - types.length]!.inputs.flatMap(featuresOf);
  return {
    outputs: outputs.map(({ name, type, place }) => ({
      name,
      type,
      slot: slotOf(place),
      features: [...new Set(featuresOf(place))],
      transformation: steps[place - types.length]?.text ?? null,
    })),
    slotCount: steps.length,
    run: (slots) => {
      for (let i = 0; i < runs.length; i++) runs[i]!(slots);
    },
  };
}

export function compileApply(step: Step, fitted: FittedParameters | null, service: TransformedService): Apply {
  return step.operation.compile(step.node, parametersOf(step, fitted, service));
}

type StepRun = (slots: Slots) => void;

/** One step, from its inputs' slots to its own. */
export function compileStep({ node }: Step, from: readonly number[], to: number, apply: Apply): StepRun {
  if (node.op === "impute") return replacingNull(from[0]!, to, apply);
  return node.op === "cross" ? ofSeveral(from, to, apply) : ofOne(from[0]!, to, apply);
}

function ofOne(from: number, to: number, apply: Apply): StepRun {
  return ({ values, statuses }) => {
    const value = values[from]!;
    const status = statuses[from]!;
    if (value === null) put(values, statuses, to, null, status);
    else put(values, statuses, to, apply(value), status);
  };
}

function ofSeveral(from: readonly number[], to: number, apply: Apply): StepRun {
  return ({ values, statuses }) => {
    let status: StatusCode = Status.PRESENT;
    const inputs: PresentValue[] = [];
    for (const slot of from) {
      if (statuses[slot]! > status) status = statuses[slot]!;
      const value = values[slot]!;
      if (value !== null) inputs.push(value);
    }
    put(values, statuses, to, inputs.length < from.length ? null : apply(inputs), status);
  };
}

function replacingNull(from: number, to: number, apply: Apply): StepRun {
  const replacement = apply("")!;
  return ({ values, statuses }) => {
    const status = statuses[from]!;
    const isNull = values[from] === null;
    values[to] = isNull ? replacement : values[from]!;
    statuses[to] = isNull && status === Status.NULL_VALUE ? Status.PRESENT : status;
  };
}

function put(values: Value[], statuses: StatusCode[], to: number, value: Value | undefined, status: StatusCode): void {
  values[to] = value === undefined ? null : value;
  statuses[to] =
    value === undefined ? Status.ERROR : value === null && status === Status.PRESENT ? Status.NULL_VALUE : status;
}
