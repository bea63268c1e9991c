/**
 * The results of an answer on Feast's wire, by column: one for each feature. Asked for by an experiment's name rows may be of
 * several services, so there is a column for each feature of any of them, NOT_FOUND in rows of the others, and one,
 * `<experiment>__variant`, that says which version was served.
 */
import { isOnefoldError } from "../base/errors.ts";
import { Status } from "../fold/view-fold.ts";
import type { AnswerBytes } from "./answer-bytes.ts";
import { FeastColumn, feastValue } from "./feast-answer.ts";
import { type ExperimentPlan, isExperiment, type NamedPlan, type ServedExposure } from "./experiment-plan.ts";
import { outputEventTime } from "./feature-vector.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { PlanOutput, VectorPlan } from "./vector-plan.ts";

/** Results of an answer, as they are filled row by row. */
export interface FeastResults {
  /** Of the results, as JSON text, with commas between them. */
  readonly names: string;
  /** A row: a vector that was read in this turn. */
  add(plan: VectorPlan, vector: FeatureVector, exposure: ServedExposure | undefined): void;
  /** Once all rows are there: the results, with commas between them. */
  writeResults(out: AnswerBytes): void;
}

/** Of whatever is asked for: each column has event times of its own. */
export class FeastOutputs implements FeastResults {
  readonly #fullNames: boolean;
  readonly #features = new Map<string, FeastColumn>();
  readonly #variant: FeastColumn | null;
  readonly #places = new Map<VectorPlan, readonly FeastColumn[]>();

  /** With `fullNames` a feature is called `view__feature`. */
  constructor(named: NamedPlan, fullNames: boolean) {
    this.#fullNames = fullNames;
    this.#variant = isExperiment(named) ? new FeastColumn(`${named.service}__variant`) : null;
    for (const plan of isExperiment(named) ? readyPlans(named) : [named]) {
      this.#places.set(
        plan,
        plan.outputs.map((output) => this.#columnOf(output)),
      );
    }
  }

  get names(): string {
    return this.#columns()
      .map(({ name }) => JSON.stringify(name))
      .join(",");
  }

  writeResults(out: AnswerBytes): void {
    for (const [i, column] of this.#columns().entries()) out.text(`${i === 0 ? "" : ","}${column.text()}`);
  }

  add(plan: VectorPlan, vector: FeatureVector, exposure: ServedExposure | undefined): void {
    const served = this.#places.get(plan)!;
    const { outputs } = plan;
    for (let i = 0; i < outputs.length; i++) {
      const column = served[i]!;
      column.add(feastValue(vector.values[i]!, outputs[i]!.type), vector.statuses[i]!);
      column.times.add(outputEventTime(plan, vector, i));
    }
    if (this.#variant === null) return;
    for (const column of this.#features.values()) {
      if (served.includes(column)) continue;
      column.add("null", Status.NOT_FOUND);
      column.times.add(null);
    }
    this.#variant.add(JSON.stringify(exposure!.variant), Status.PRESENT);
    this.#variant.times.add(vector.asOf);
  }

  #columns(): FeastColumn[] {
    const features = [...this.#features.values()];
    return this.#variant === null ? features : [...features, this.#variant];
  }

  #columnOf({ name, view }: PlanOutput): FeastColumn {
    const viewName = view.slice(0, view.lastIndexOf("@"));
    const key = this.#fullNames ? `${viewName}:${name}` : name;
    let column = this.#features.get(key);
    if (column === undefined) {
      column = new FeastColumn(this.#fullNames ? `${viewName}__${name}` : name);
      this.#features.set(key, column);
    }
    return column;
  }
}

/** Plans of the variants that can be served now: what another is waiting for costs these nothing. */
function readyPlans({ experiment, variantPlan }: ExperimentPlan): VectorPlan[] {
  return experiment.variants.flatMap((_, place) => {
    try {
      return [variantPlan(place)];
    } catch (error) {
      if (isOnefoldError(error)) return [];
      throw error;
    }
  });
}
