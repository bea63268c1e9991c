/**
 * How a caller of the platform says where label rows stand, and is told of the advance of work on them.
 */
import { OnefoldError } from "../base/errors.ts";
import { type Micros, parseDuration } from "../base/micros.ts";
import type { FitRequest } from "../training/fit-service.ts";
import type { GeneratedSpineRequest } from "../training/generated-spine.ts";
import type { SpineRequest } from "../training/spine.ts";
import type { OnProgress } from "./runtime-context.ts";

/** The label file and where things stand in it, flat beside other options. */
export interface LabelOptions extends Omit<SpineRequest, "path" | "format" | "generated"> {
  readonly labels: string;
  readonly onProgress?: OnProgress;
}

/** In place of a label file: how label rows are generated. */
export interface GeneratedLabelOptions {
  readonly labels?: undefined;
  /** A duration such as `1d` or `15m`. */
  readonly every: string;
  /** "all", or a file of entities. A file that is named `all` is written `./all`. */
  readonly entities: string;
  readonly from?: Micros;
  readonly to?: Micros;
  readonly keyColumns?: SpineRequest["keyColumns"];
  readonly onProgress?: OnProgress;
}

type EitherRequest<O> = Omit<O, keyof LabelOptions | keyof GeneratedLabelOptions> & {
  readonly labels: SpineRequest | GeneratedSpineRequest;
} & Pick<FitRequest, "onProgress">;

/** As `labelRequest`, of either kind. Throws `DURATION_INVALID`, and `REQUEST_INVALID` for neither or both. */
export function labelOrTickRequest<O extends LabelOptions | GeneratedLabelOptions>(options: O): EitherRequest<O> {
  const given = options as Partial<Record<keyof GeneratedLabelOptions, unknown>>;
  const hasTicks = [given.every, given.entities, given.from, given.to].some((one) => one !== undefined);
  if (options.labels !== undefined && !hasTicks) return labelRequest(options) as unknown as EitherRequest<O>;
  if (options.labels !== undefined || given.every === undefined || given.entities === undefined) {
    throw new OnefoldError("REQUEST_INVALID", "label rows come from a file, or every entity at every tick", {
      hint: "give --labels FILE, or --every 1d --entities all",
    });
  }
  const { every, entities, from, to, ...others } = options;
  const { keyColumns } = others;
  const labels: GeneratedSpineRequest = {
    everyMicros: parseDuration(every),
    entities: entities === "all" ? "all" : { path: entities },
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(keyColumns === undefined ? {} : { keyColumns }),
  };
  const request = labelRequest({ ...others, labels: "" } as LabelOptions);
  return { ...request, labels } as unknown as EitherRequest<O>;
}

/** The label file and its columns as one part of a request, and progress as phases. */
export function labelRequest<O extends LabelOptions>(
  options: O,
): Omit<O, keyof LabelOptions> & { readonly labels: SpineRequest } & Pick<FitRequest, "onProgress"> {
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
