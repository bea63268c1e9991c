/**
 * How a caller of the platform says where label rows stand, and is told of the advance of work on them.
 */
import type { FitRequest } from "../training/fit-service.ts";
import type { SpineRequest } from "../training/spine.ts";
import type { TrainRequest } from "../training/training-set.ts";
import type { OnProgress } from "./runtime-context.ts";

/** The label file and where things stand in it, flat beside other options. */
export interface LabelOptions extends Omit<SpineRequest, "path" | "format"> {
  readonly labels: string;
  readonly onProgress?: OnProgress;
}

/** The label file and its columns as one part of a request, and progress as phases. */
export function labelRequest<O extends LabelOptions>(
  options: O,
): Omit<O, keyof LabelOptions> & Pick<TrainRequest, "labels"> & Pick<FitRequest, "onProgress"> {
  const { labels, timeColumn, tokenColumn, keyColumns, onProgress, ...rest } = options;
  return {
    ...rest,
    labels: {
      path: labels,
      ...(timeColumn === undefined ? {} : { timeColumn }),
      ...(tokenColumn === undefined ? {} : { tokenColumn }),
      ...(keyColumns === undefined ? {} : { keyColumns }),
    },
    ...(onProgress === undefined
      ? {}
      : {
          onProgress: (progress) => {
            const { phase, done, total } = progress;
            const view = "view" in progress ? progress.view : undefined;
            onProgress({ phase: view === undefined ? phase : `${phase} of ${view}`, done, total });
          },
        }),
  };
}
