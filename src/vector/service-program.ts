/**
 * A service as a program: which features of views it reads, and what it computes from them.
 *
 *     features of views ─▶ slots ─▶ on-demand views, inputs first ─▶ slots ─▶ transformations ─▶ the vector
 *     request data ───────────────────▲
 *
 * Serving, training and the audit run the same program: they only differ in where the values of the first
 * slots come from. Pure, as the fold is.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import {
  type FeatureReference,
  formatViewName,
  type OnDemandDefinition,
  type ServiceDefinition,
} from "../define/definition.ts";
import { requestColumnsOf } from "../define/request-columns.ts";
import type { FittedParameters } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";
import type { Column, Row, ValueType } from "../schema/value.ts";
import { onDemandStep, type VectorStep } from "./on-demand-step.ts";
import { transformationStep } from "./transformation-step.ts";
import type { TransformedOutput } from "./transformations/compile.ts";
import { createSlots, type VectorSlots } from "./vector-slots.ts";

export interface ProgramOutput {
  /** Name in the vector. */
  readonly name: string;
  readonly type: ValueType;
  readonly slot: number;
  /** `view@version` that it comes from; several, with commas, for a transformation of several. */
  readonly from: string;
  /** Its name there, or the transformation as one line. */
  readonly feature: string;
  readonly isTransformed: boolean;
  /** The inputs it is made from, as places in `ServiceProgram.inputs`. */
  readonly inputs: readonly number[];
}

export interface ServiceProgram {
  /** Features of views, each once, in the order of first use; input `i` is slot `i`. */
  readonly inputs: readonly FeatureReference[];
  /** What a request must carry. */
  readonly request: readonly Column[];
  /** On-demand views that it runs, in the order they run in. */
  readonly onDemand: readonly OnDemandDefinition[];
  /** The vector, in its order. */
  readonly outputs: readonly ProgramOutput[];
  /** Whether the vector is the inputs as they are: then nothing need be run. */
  readonly isPlain: boolean;
  readonly slots: VectorSlots;
  /**
   * Computes all slots behind the inputs, which the caller has filled in. Throws the `ON_DEMAND_...` codes
   * where an on-demand view says `onError: "fail"`.
   */
  run(request: Row, asOf: Micros): void;
}

/** Where a program finds what it refers to. */
export type ProgramRegistry = Pick<Registry, "view" | "onDemandViews" | "codeProblem">;

/**
 * `fitted` is what its transformations were fitted to, null where none is. Throws `VIEW_UNKNOWN`,
 * `FEATURE_UNKNOWN`, `FINGERPRINT_MISMATCH`, `DEFINITION_INVALID`, `SERVICE_NOT_FITTED`, `FIT_CORRUPT`.
 */
export function compileServiceProgram(
  service: ServiceDefinition,
  registry: ProgramRegistry,
  fitted: FittedParameters | null = null,
): ServiceProgram {
  return new ProgramCompiler(registry).compile(service, fitted);
}

interface Slot {
  readonly slot: number;
  readonly type: ValueType;
  readonly inputs: readonly number[];
}

class ProgramCompiler {
  readonly #registry: ProgramRegistry;
  readonly #onDemand: ReadonlyMap<string, OnDemandDefinition>;
  /** By `view@version:feature`. */
  readonly #slots = new Map<string, Slot>();
  readonly #inputs: FeatureReference[] = [];
  readonly #steps: VectorStep[] = [];
  readonly #compiled = new Set<OnDemandDefinition>();
  #request: readonly Column[] = [];

  constructor(registry: ProgramRegistry) {
    this.#registry = registry;
    this.#onDemand = new Map(
      registry.onDemandViews().map(({ definition }) => [formatViewName(definition), definition] as const),
    );
  }

  compile(service: ServiceDefinition, fitted: FittedParameters | null): ServiceProgram {
    const problem = this.#registry.codeProblem(service);
    if (problem !== null) throw problem;
    const find = (name: string, version: number | "dev"): OnDemandDefinition | null =>
      this.#onDemand.get(formatViewName({ name, version })) ?? null;
    const { columns, problems } = requestColumnsOf(service.features, find);
    if (problems.length > 0) {
      throw new OnefoldError("DEFINITION_INVALID", problems.join("; "), { where: `service ${service.name}` });
    }
    this.#request = columns;
    // Features of views first, so that inputs are slots 0, 1, ... whatever stands between them.
    for (const reference of service.features) this.#collectInputs(reference);
    const features = service.features.map((reference): ProgramOutput => {
      const from = formatViewName({ name: reference.view, version: reference.version });
      const place = this.#slotOf(reference);
      return { name: reference.as, from, feature: reference.feature, isTransformed: false, ...place };
    });
    const steps = this.#steps;
    const transformations = transformationStep(service, features, this.#slots.size, fitted);
    if (transformations.slotCount > 0) steps.push(transformations.run);
    const slots = createSlots(this.#slots.size + transformations.slotCount);
    const outputs = transformations.outputs.map((output) => transformedOutput(output, features));
    return {
      inputs: this.#inputs,
      request: columns,
      onDemand: [...this.#compiled],
      outputs,
      isPlain: steps.length === 0 && outputs.length === this.#inputs.length,
      slots,
      run: (request, asOf) => {
        slots.failures.length = 0;
        for (const step of steps) step(slots, request, asOf);
      },
    };
  }

  #collectInputs(reference: FeatureReference): void {
    const definition = this.#onDemand.get(formatViewName({ name: reference.view, version: reference.version }));
    if (definition !== undefined) {
      for (const input of definition.inputs) this.#collectInputs(input);
      return;
    }
    const name = qualifiedName(reference);
    if (this.#slots.has(name)) return;
    const { features } = this.#registry.view(reference.view, reference.version).definition;
    const type = features.find((feature) => feature.name === reference.feature)?.type;
    if (type === undefined) throw unknownFeature(reference, features);
    const { view, version, feature } = reference;
    const slot = this.#inputs.push({ view, version, feature }) - 1;
    this.#slots.set(name, { slot, type, inputs: [slot] });
  }

  /** Compiles the on-demand view that a reference stands for, and those it reads, inputs first. */
  #slotOf(reference: FeatureReference): Slot {
    const definition = this.#onDemand.get(formatViewName({ name: reference.view, version: reference.version }));
    if (definition !== undefined) this.#compileOnDemand(definition);
    const found = this.#slots.get(qualifiedName(reference));
    if (found === undefined) throw unknownFeature(reference, definition?.outputs ?? []);
    return found;
  }

  #compileOnDemand(definition: OnDemandDefinition): void {
    if (this.#compiled.has(definition)) return;
    const problem = this.#registry.codeProblem(definition);
    if (problem !== null) throw problem;
    const inputs = definition.inputs.map((input) => this.#slotOf(input));
    this.#compiled.add(definition);
    const behind = [...new Set(inputs.flatMap((input) => input.inputs))];
    const outputSlots = definition.outputs.map(({ name, type }) => {
      const slot = this.#slots.size;
      const { version } = definition;
      this.#slots.set(qualifiedName({ view: definition.name, version, feature: name }), { slot, type, inputs: behind });
      return slot;
    });
    this.#steps.push(
      onDemandStep(definition, {
        inputSlots: inputs.map((input) => input.slot),
        requestPlaces: definition.request.map(({ name }) => this.#request.findIndex((column) => column.name === name)),
        outputSlots,
      }),
    );
  }
}

/** A feature as it is, or what a transformation makes of one or more. */
function transformedOutput(
  { name, type, slot, transformation, features: places }: TransformedOutput,
  features: readonly ProgramOutput[],
): ProgramOutput {
  const read = places.map((place) => features[place]!);
  if (transformation === null) return read[0]!;
  return {
    name,
    type,
    slot,
    from: [...new Set(read.map(({ from }) => from))].join(", "),
    feature: transformation,
    isTransformed: true,
    inputs: [...new Set(read.flatMap(({ inputs }) => inputs))],
  };
}

/** `view@version:feature`. */
export function qualifiedName(reference: FeatureReference): string {
  return `${formatViewName({ name: reference.view, version: reference.version })}:${reference.feature}`;
}

function unknownFeature(reference: FeatureReference, known: readonly { readonly name: string }[]): OnefoldError {
  const view = formatViewName({ name: reference.view, version: reference.version });
  return new OnefoldError("FEATURE_UNKNOWN", `${view} has no feature "${reference.feature}"`, {
    candidates: nearestNames(
      reference.feature,
      known.map(({ name }) => name),
    ),
  });
}
