/**
 * Fits a service: joins label rows with its features, point in time and untransformed, fits its
 * transformations to the rows of the train split alone, and stores what came out under the next version.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import type { Data } from "../registry/definition-data.ts";
import type { FittedService } from "../registry/fitted-service.ts";
import { fitStepwise } from "../vector/transformations/fit.ts";
import { throwIfCancelled } from "../base/cancelled.ts";

import { splitText, type TrainSplit } from "./train-split.ts";
import { planToFit } from "./training-plan.ts";
import { type LabelledRequest, type TrainingProgress, trainPlan } from "./training-set.ts";

export interface FitRequest extends Omit<
  LabelledRequest,
  "service" | "timeSplit" | "out" | "format" | "withStatuses" | "fit" | "split" | "onProgress"
> {
  readonly service: string;
  readonly split: TrainSplit;
  readonly onProgress?: (progress: TrainingProgress | FitProgress) => void;
}

export interface FitProgress {
  readonly phase: "fitting";
  /** Transformations. */
  readonly done: number;
  readonly total: number;
}

/**
 * Nothing is stored unless all of it can be fitted. Throws `FIT_IMPOSSIBLE`, `FINGERPRINT_MISMATCH`,
 * `STORAGE_FAILED`, `CANCELLED`, and what `train` throws.
 */
export async function fitService(request: FitRequest): Promise<FittedService> {
  const { ports, split, onProgress } = request;
  const { definition, fingerprint } = ports.registry.service(request.service);
  const problem = ports.registry.codeProblem(definition);
  if (problem !== null) throw problem;
  const set = await trainPlan(request, planToFit(ports, request.service));
  const rows = set.trainRows!;
  if (rows.length === 0) {
    throw new OnefoldError("FIT_IMPOSSIBLE", `none of the ${set.rowCount} label rows is in the train split`, {
      where: splitText(split),
      hint: "choose a split that holds the rows that the model is trained with",
    });
  }
  const types = set.columns.map(({ type }) => type);
  const fitting = fitStepwise(definition, types, set.columns, rows);
  let step = fitting.next();
  for (; step.done !== true; step = fitting.next()) {
    onProgress?.({ phase: "fitting", ...step.value });
    // Whoever serves in this process gets a turn, and an interrupt is seen.
    await setImmediate();
    throwIfCancelled(request.signal);
  }
  return ports.fits.put({
    definition,
    fingerprint,
    parameters: step.value,
    split: { train: splitText(split), rowsTrain: rows.length, rowsTotal: set.rowCount },
    trainSplit: split,
    training: JSON.parse(JSON.stringify(set.manifest)) as Data,
    created: formatMicros(ports.clock.now()),
  });
}
