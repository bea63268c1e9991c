/**
 * The results of an answer on Feast's wire, by column: one for each feature. Asked for by an experiment's name rows may be of
 * several services, so there is a column for each feature of any of them, NOT_FOUND in rows of the others, and one,
 * `<experiment>__variant`, that says which version was served.
 */
import { isOnefoldError } from "../base/errors.ts";
import { FeastColumn, feastStatus, feastValue } from "./feast-answer.ts";
import { type ExperimentPlan, isExperiment, type NamedPlan, type ServedExposure } from "./experiment-plan.ts";
import { outputEventTime } from "./feature-vector.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { PlanOutput, VectorPlan } from "./vector-plan.ts";

export class FeastOutputs {
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

  get columns(): FeastColumn[] {
    const features = [...this.#features.values()];
    return this.#variant === null ? features : [...features, this.#variant];
  }

  /** A row: a vector that was read in this turn. */
  add(plan: VectorPlan, vector: FeatureVector, exposure: ServedExposure | undefined): void {
    const served = this.#places.get(plan)!;
    plan.outputs.forEach(({ type }, i) => {
      const text = feastValue(vector.values[i]!, type);
      served[i]!.add(text, feastStatus(vector.statuses[i]!), outputEventTime(plan, vector, i));
    });
    if (this.#variant === null) return;
    for (const column of this.#features.values()) if (!served.includes(column)) column.add("null", "NOT_FOUND", null);
    this.#variant.add(JSON.stringify(exposure!.variant), "PRESENT", vector.asOf);
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
