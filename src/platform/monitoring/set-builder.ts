/** Has training sets built that retraining asks for, as `POST /training-sets` does. */
import { resolve } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import { formatDuration, formatMicros, type Micros } from "../../base/micros.ts";
import type { SetBuilder } from "../../monitor/alerts/training.ts";
import type { TrainingDesk } from "../../serve/training-desk.ts";

/** `desk` is null where none are built. */
export function setBuilder(desk: TrainingDesk | null): SetBuilder {
  const training = (): TrainingDesk => {
    if (desk !== null) return desk;
    throw new OnefoldError("TRAINING_NOT_OFFERED", "this server builds no training sets", {
      hint: "start it without --training-jobs 0",
    });
  };
  return {
    start: async ({ service, labels, boundary }, nowMicros) => {
      const asked = { service, boundary };
      if (labels.kind === "file") return (await training().start({ path: labels.path }, asked)).id;
      const { everyMicros, rangeMicros, entitiesPath } = labels;
      const entities = entitiesPath === undefined ? ({ entities: "all" } as const) : { path: entitiesPath };
      const job = await training().start(entities, {
        ...asked,
        every: formatDuration(everyMicros),
        // The last one is at the log's end.
        from: formatMicros(firstTick(nowMicros - rangeMicros, everyMicros)),
      });
      return job.id;
    },
    look: async (trainingSet) => {
      const { state, result, error } = await training().job(trainingSet);
      if (state === "queued" || state === "running") return { state: "under-way" };
      if (state === "done") {
        const { path } = await training().file(trainingSet, "parquet");
        return { state: "done", rows: result!.rows, path: resolve(path) };
      }
      const why = error === null ? `the training set was ${state}` : `${error.code}: ${error.message}`;
      return { state: "failed", error: why, isFinal: state === "cancelled" || error?.code === "REQUEST_INVALID" };
    },
  };
}

/** Whole multiples since the epoch, so that sets of different days have their ticks in common. */
function firstTick(from: number, every: number): Micros {
  return (Math.ceil(from / every) * every) as Micros;
}
