/**
 * The transformations of a service as the last step of its program, over the values of its features.
 */
import type { ErrorCode } from "../base/errors.ts";
import type { ServiceDefinition } from "../define/definition.ts";
import { Status } from "../fold/view-fold.ts";
import type { FittedParameters } from "../registry/fitted-service.ts";
import type { ValueType } from "../schema/value.ts";
import { compileTransformations, type TransformedOutput } from "./transformations/compile.ts";
import type { VectorSlots } from "./vector-slots.ts";

/** A feature of the service, as the rest of its program gives it. */
export interface FeaturePlace {
  readonly type: ValueType;
  readonly slot: number;
}

export interface TransformationStep {
  /** The vector, in its order. */
  readonly outputs: readonly TransformedOutput[];
  /** How many slots it writes to. */
  readonly slotCount: number;
  run(slots: VectorSlots): void;
}

/** Writes to slots from `free` on. Throws `SERVICE_NOT_FITTED`, `FIT_CORRUPT`. */
export function transformationStep(
  service: ServiceDefinition,
  features: readonly FeaturePlace[],
  free: number,
  fitted: FittedParameters | null,
): TransformationStep {
  const { outputs, slotCount, run } = compileTransformations(
    service,
    features.map(({ type }) => type),
    fitted,
    { features: features.map(({ slot }) => slot), free },
  );
  const computed = outputs
    .filter(({ transformation }) => transformation !== null)
    .map((output) => ({ slot: output.slot, inputs: output.features.map((place) => features[place]!.slot) }));
  return {
    outputs,
    slotCount,
    run: (slots) => {
      run(slots);
      for (const { slot, inputs } of computed) {
        const isError = slots.statuses[slot] === Status.ERROR;
        const cause = isError ? inputs.find((input) => slots.statuses[input] === Status.ERROR) : undefined;
        slots.codes[slot] = isError ? codeOf(slots, cause) : null;
        slots.messages[slot] = cause === undefined ? null : slots.messages[cause]!;
      }
    },
  };
}

/** An input's own code, where an on-demand view computed it and failed. */
function codeOf(slots: VectorSlots, cause: number | undefined): ErrorCode | null {
  return cause === undefined ? "TRANSFORMATION_FAILED" : slots.codes[cause]!;
}
