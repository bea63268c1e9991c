/**
 * Fits the transformations of a service to the train split of a training set: inner ones first, outer ones on
 * what the inner ones make of it, by the very code that serves.
 */
import { messageOf, OnefoldError } from "../../base/errors.ts";
import { Status } from "../../fold/view-fold.ts";
import type { Value, ValueType } from "../../schema/value.ts";
import { compileApply, compileStep, type Slots } from "./compile.ts";
import type { FittedParameters, FittedStep } from "../../registry/fitted-service.ts";
import type { PresentValue } from "./operation.ts";
import { planSteps, type Step, type TransformedService } from "./steps.ts";

/** A feature's values by row, as a training set has them. */
export interface FitColumn {
  value(row: number): Value;
}

/** Transformations fitted so far, and those there are. */
export interface FitAdvance {
  readonly done: number;
  readonly total: number;
}

/**
 * The parameters of all transformations that are fitted. `types` and `columns` are those of the service's
 * features, in their order; only the rows named in `rows` are looked at, in that order.
 *
 * Throws `DEFINITION_INVALID`, and `FIT_IMPOSSIBLE` where a transformation has no value to be fitted to, or a
 * custom one's `fit` throws: a parameter that nothing supports is never made up.
 */
export function fitTransformations(
  service: TransformedService,
  types: readonly ValueType[],
  columns: readonly FitColumn[],
  rows: Int32Array,
): FittedParameters {
  const fitting = fitStepwise(service, types, columns, rows);
  for (;;) {
    const { done, value } = fitting.next();
    if (done === true) return value;
  }
}

/** The same with a halt before each transformation: for a caller who has other work, or may want to stop. */
export function fitStepwise(
  service: TransformedService,
  types: readonly ValueType[],
  columns: readonly FitColumn[],
  rows: Int32Array,
): Generator<FitAdvance, FittedParameters, void> {
  const { steps } = planSteps(service, types);
  return new Fitting(service, steps, columns, rows).fit();
}

class Fitting {
  readonly #service: TransformedService;
  readonly #steps: readonly Step[];
  readonly #features: readonly FitColumn[];
  readonly #rows: Int32Array;
  readonly #fitted: FittedStep[] = [];
  /** By place; one value a row of the split. */
  readonly #columns = new Map<number, readonly Value[]>();

  constructor(service: TransformedService, steps: readonly Step[], features: readonly FitColumn[], rows: Int32Array) {
    this.#service = service;
    this.#steps = steps;
    this.#features = features;
    this.#rows = rows;
  }

  *fit(): Generator<FitAdvance, FittedParameters, void> {
    const wanted = this.#steps.filter((step) => step.isFitted);
    const problems: string[] = [];
    for (const [done, step] of wanted.entries()) {
      yield { done, total: wanted.length };
      // Without the parameters of what stands below it, one cannot be fitted: that is told already.
      const needed = this.#below(step).filter((one) => one.isFitted);
      if (!needed.every((one) => this.#fitted.some(({ transformation }) => transformation === one.text))) continue;
      const values = this.#column(step.inputs[0]!).filter(isUsable);
      if (values.length === 0) {
        problems.push(`${step.text} has no value to be fitted to in the ${this.#rows.length} rows of the train split`);
        continue;
      }
      try {
        const parameters = step.operation.fit(step.node, values);
        this.#fitted.push({ transformation: step.text, values: values.length, parameters });
      } catch (error) {
        problems.push(`${step.text}: ${messageOf(error)}`);
      }
    }
    if (problems.length === 0) return this.#fitted;
    throw new OnefoldError("FIT_IMPOSSIBLE", problems.join("; "), {
      where: `service ${this.#service.name}`,
      hint: "give the train split more rows, or take these features out of the service",
    });
  }

  #below(step: Step): Step[] {
    return step.inputs.flatMap((place) => {
      const input = this.#stepAt(place);
      return input === undefined ? [] : [...this.#below(input), input];
    });
  }

  #stepAt(place: number): Step | undefined {
    return this.#steps[place - this.#features.length];
  }

  #column(place: number): readonly Value[] {
    const known = this.#columns.get(place);
    if (known !== undefined) return known;
    const step = this.#stepAt(place);
    const feature = this.#features[place];
    const column = step === undefined ? Array.from(this.#rows, (row) => feature!.value(row)) : this.#computed(step);
    this.#columns.set(place, column);
    return column;
  }

  /** What a step makes of its inputs, row by row. Statuses are not asked for: a fit sees values alone. */
  #computed(step: Step): readonly Value[] {
    const inputs = step.inputs.map((place) => this.#column(place));
    const slots: Slots = { values: [], statuses: [...inputs.map(() => Status.PRESENT), Status.PRESENT] };
    const to = inputs.length;
    const run = compileStep(step, [...inputs.keys()], to, compileApply(step, this.#fitted, this.#service));
    return Array.from(this.#rows, (_, i) => {
      for (let input = 0; input < inputs.length; input++) slots.values[input] = inputs[input]![i]!;
      run(slots);
      return slots.values[to]!;
    });
  }
}

/** Not null, and no number that is not finite. */
function isUsable(value: Value): value is PresentValue {
  return value !== null && (typeof value !== "number" || Number.isFinite(value));
}
