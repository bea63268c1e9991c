/** `onefold train`: label rows joined, point in time, with the features of one service or several. */
import { Command, Option } from "commander";
import { interruptible } from "../interrupt.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { type LabelOptions, labelRequest, ofEachService, withLabelOptions } from "../label-options.ts";
import { collect, parseBytes, parseCount, parseTime, parseTimeSplit } from "../option-values.ts";
import { createOutput } from "../output.ts";
import type { Platform } from "../../platform.ts";
import type { ExposuresAsked } from "../../platform/experiments/exposure-labels.ts";
import type { TrainOptions as PlatformTrainOptions } from "../../platform/platform-options.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import { leakageText } from "../leakage-text.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { trainingText } from "../training-text.ts";

interface TrainOptions extends StandardOptions, Omit<LabelOptions, "labels">, WorkerTableOptions {
  readonly service?: readonly string[];
  readonly exposures?: string;
  readonly variant?: string;
  readonly labels?: string;
  readonly every?: string;
  readonly entities?: string;
  readonly from?: Micros;
  readonly to?: Micros;
  readonly split?: PlatformTrainOptions["timeSplit"] & object;
  readonly out?: string;
  readonly explainLeakage?: true;
  readonly fit?: readonly string[];
  readonly statuses?: true;
  readonly memory?: number;
  readonly threads?: number;
  readonly spill?: string;
  readonly resume?: true;
}

export function trainCommand(): Command {
  const command = withLabelOptions(
    new Command("train")
      .description("build a training set: every label row once, in order, with the features known at its time")
      .option("--service <name...>", "the service whose features are wanted, or several")
      .option(
        "--exposures <experiment>",
        "instead of label rows: what the experiment served, as served, by its --variant",
      )
      .option("--variant <version>", "of --exposures: the version that was served, as delay@2")
      .option("--labels <file>", "label rows: Parquet, CSV or NDJSON with key columns and a time")
      .option("--every <duration>", "instead of label rows: entities at ticks so far apart, such as 1d")
      .option("--entities <all|file>", "at each tick: every entity known by then, or those of a file")
      .addOption(new Option("--from <time>", "first tick (default: by which an event was known)").argParser(parseTime))
      .addOption(new Option("--to <time>", "no tick is later (default: the end of the log)").argParser(parseTime))
      .addOption(
        new Option(
          "--split <parts>",
          "add a column split by time: shares such as 0.7,0.15,0.15, or one or two times that begin a part",
        ).argParser(parseTimeSplit),
      )
      .option("--out <file>", "where to write, .parquet or .csv; the manifest goes to <file>.manifest.json")
      .addOption(
        new Option(
          "--fit <version>",
          "the fit to transform with (default: the newest of the service; as served, each row's own); of several services service=version",
        ).argParser(collect),
      )
      .option("--statuses", "add a column <feature>__status for each feature")
      .option(
        "--explain-leakage",
        "say what final knowledge would have changed, row by row; writes the set as known where --out is given",
      )
      .addOption(
        new Option("--memory <size>", "memory to use, as 2GB; what does not fit goes to disk").argParser(parseBytes),
      )
      .addOption(
        new Option("--threads <n>", "threads that compute (default: one a core; the result is the same)").argParser(
          parseCount,
        ),
      )
      .option("--spill <folder>", "where what does not fit into memory goes (default: the system's temporary folder)")
      .option("--resume", "keep what is finished in <out>.parts, and go on from there if an earlier run was ended"),
  ).action(async (options: TrainOptions, self: Command) => {
    const output = createOutput(options.json === true);
    if (options.explainLeakage === true) refuseWithLeakage(options);
    else if (options.out === undefined) self.error("error: required option '--out <file>' not specified");
    const exposures = exposuresOf(options, self);
    if (exposures === null && options.service === undefined)
      self.error("error: required option '--service <name...>' not specified, nor '--exposures <experiment>'");
    if (exposures === null && options.labels === undefined && options.every === undefined)
      self.error(
        "error: required option '--labels <file>' not specified, nor '--every <duration> --entities <all|file>'",
      );
    const fit = fitOf(options);
    const run = <T>(work: (platform: Platform, request: PlatformTrainOptions) => Promise<T>): Promise<T> =>
      output.withProgress("train", (onProgress) =>
        withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
          interruptible(async (signal) =>
            work(platform, {
              ...(exposures === null ? labelsOf(options) : await labelsOfExposures(platform, exposures)),
              ...(options.split === undefined ? {} : { timeSplit: options.split }),
              ...(options.out === undefined ? {} : { out: options.out }),
              withStatuses: options.statuses === true,
              ...(fit === undefined ? {} : { fit }),
              ...(options.memory === undefined ? {} : { memoryBytes: options.memory }),
              ...(options.threads === undefined ? {} : { threads: options.threads }),
              ...(options.spill === undefined ? {} : { spillFolder: options.spill }),
              resume: options.resume === true,
              onProgress,
              signal,
            }),
          ),
        ),
      );
    if (options.explainLeakage === true) {
      const report = await run((platform, { knowledge: _, ...request }) => platform.explainLeakage(request));
      output.result(report, () => leakageText(report));
      return;
    }
    const set = await run((platform, request) => platform.train(request));
    output.result({ out: set.out, rows: set.rowCount, manifest: set.manifest }, () => trainingText(set));
  });
  return withStandardOptions(withWorkerTableOptions(command));
}

/** Null where none are asked for. */
function exposuresOf(
  { exposures, variant, labels, every, service, out }: TrainOptions,
  self: Command,
): ExposuresAsked | null {
  if (exposures === undefined) {
    if (variant !== undefined) self.error("error: option '--variant <version>' is of '--exposures <experiment>'");
    return null;
  }
  if (variant === undefined) self.error("error: required option '--variant <version>' not specified");
  if (labels !== undefined || every !== undefined || service !== undefined)
    self.error("error: option '--exposures <experiment>' stands in place of --labels, --every and --service");
  if (out === undefined) self.error("error: required option '--out <file>' not specified");
  return { experiment: exposures, variant, path: `${out}.exposures.ndjson` };
}

async function labelsOfExposures(platform: Platform, asked: ExposuresAsked): Promise<PlatformTrainOptions> {
  const { exposureLabels } = await import("../../platform/experiments/exposure-labels.ts");
  await platform.settle();
  return exposureLabels(platform, asked);
}

/** A label file, or how label rows are generated; the platform refuses neither and both. */
function labelsOf(options: TrainOptions): Omit<PlatformTrainOptions, "labels"> & PlatformTrainOptions {
  const { labels, every, entities, from, to, service = [] } = options;
  const request = { ...labelRequest({ ...options, labels: labels ?? "" }, service), service };
  if (every === undefined && entities === undefined && from === undefined && to === undefined && labels !== undefined)
    return request;
  const { labels: _, ...rest } = request;
  return {
    ...rest,
    ...(labels === undefined ? {} : { labels }),
    ...(every === undefined ? {} : { every }),
    ...(entities === undefined ? {} : { entities }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  } as PlatformTrainOptions;
}

/** Throws `REQUEST_INVALID`. */
function fitOf({ fit, service = [], variant }: TrainOptions): PlatformTrainOptions["fit"] {
  const given = ofEachService("--fit", variant === undefined ? service : [variant], fit);
  if (given === undefined) return undefined;
  const versionOf = (text: string): number => {
    if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
    throw new OnefoldError("REQUEST_INVALID", `${text} is no version of a fit`, {
      hint: "give a whole number above zero",
    });
  };
  if (typeof given === "string") return versionOf(given);
  return Object.fromEntries(Object.entries(given).map(([name, version]) => [name, versionOf(version)]));
}

function refuseWithLeakage({ knowledge }: TrainOptions): void {
  if (knowledge === "as-known") return;
  throw new OnefoldError(
    "REQUEST_INVALID",
    `--explain-leakage compares what was known with final knowledge, not ${knowledge}`,
    {
      hint: "leave --knowledge out",
    },
  );
}
