/**
 * The results of an answer on Feast's wire, by column: one for each feature. Asked for by an experiment's name rows may be of
 * several services, so there is a column for each feature of any of them, NOT_FOUND in rows of the others, and one,
 * `<experiment>__variant`, that says which version was served.
 *
 * Where all rows are of one service that computes nothing, the columns of a view share their event times.
 */
import { isOnefoldError } from "../base/errors.ts";
import { Status } from "../fold/view-fold.ts";
import { FeastColumn, FeastTimes, feastValue } from "./feast-answer.ts";
import { type ExperimentPlan, isExperiment, type NamedPlan, type ServedExposure } from "./experiment-plan.ts";
import { eventTimeIn, outputEventTime } from "./feature-vector.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { PlanOutput, VectorPlan } from "./vector-plan.ts";

export class FeastOutputs {
  readonly #fullNames: boolean;
  readonly #features = new Map<string, FeastColumn>();
  readonly #variant: FeastColumn | null;
  readonly #places = new Map<VectorPlan, readonly FeastColumn[]>();
  /** Of each of the one plan's views; null where each column has times of its own. */
  readonly #viewTimes: readonly FeastTimes[] | null;

  /** With `fullNames` a feature is called `view__feature`. */
  constructor(named: NamedPlan, fullNames: boolean) {
    this.#fullNames = fullNames;
    this.#variant = isExperiment(named) ? new FeastColumn(`${named.service}__variant`) : null;
    const viewTimes = isExperiment(named) || named.program !== null ? null : named.views.map(() => new FeastTimes());
    this.#viewTimes = viewTimes;
    for (const plan of isExperiment(named) ? readyPlans(named) : [named]) {
      this.#places.set(
        plan,
        plan.outputs.map((output, i) => this.#columnOf(output, viewTimes?.[plan.features[i]!.view])),
      );
    }
  }

  get columns(): FeastColumn[] {
    const features = [...this.#features.values()];
    return this.#variant === null ? features : [...features, this.#variant];
  }

  /** A row: a vector that was read in this turn. */
  add(plan: VectorPlan, vector: FeatureVector, exposure: ServedExposure | undefined): void {
    const served = this.#places.get(plan)!;
    const { outputs } = plan;
    const viewTimes = this.#viewTimes;
    for (let i = 0; i < outputs.length; i++) {
      const column = served[i]!;
      column.add(feastValue(vector.values[i]!, outputs[i]!.type), vector.statuses[i]!);
      if (viewTimes === null) column.times.add(outputEventTime(plan, vector, i));
    }
    if (viewTimes !== null) for (let i = 0; i < viewTimes.length; i++) viewTimes[i]!.add(eventTimeIn(vector, i));
    if (this.#variant === null) return;
    for (const column of this.#features.values()) {
      if (served.includes(column)) continue;
      column.add("null", Status.NOT_FOUND);
      column.times.add(null);
    }
    this.#variant.add(JSON.stringify(exposure!.variant), Status.PRESENT);
    this.#variant.times.add(vector.asOf);
  }

  #columnOf({ name, view }: PlanOutput, times?: FeastTimes): FeastColumn {
    const viewName = view.slice(0, view.lastIndexOf("@"));
    const key = this.#fullNames ? `${viewName}:${name}` : name;
    let column = this.#features.get(key);
    if (column === undefined) {
      column = new FeastColumn(this.#fullNames ? `${viewName}__${name}` : name, times);
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
