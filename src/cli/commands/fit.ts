/** `onefold fit`: what the transformations of a service are fitted to, from the train split of label rows. */
import { Command, Option } from "commander";
import type { Micros } from "../../base/micros.ts";
import { serviceId, serviceReference } from "../../define/service-version.ts";
import type { FitOptions as PlatformFitOptions } from "../../platform/platform-options.ts";
import { interruptible } from "../interrupt.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { type LabelOptions, labelRequest, withLabelOptions } from "../label-options.ts";
import { collectPair, parseTime, parseTrainShare } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { OnefoldError } from "../../base/errors.ts";

interface FitOptions extends StandardOptions, LabelOptions, WorkerTableOptions {
  readonly service: string;
  readonly trainUntil?: Micros;
  readonly trainShare?: number;
  readonly splitColumn?: Readonly<Record<string, string>>;
}

export function fitCommand(): Command {
  const command = withLabelOptions(
    new Command("fit")
      .description("fit a service's transformations to the train split of label rows; stored under the next version")
      .requiredOption("--service <name>", "the service whose transformations are fitted")
      .requiredOption("--labels <file>", "label rows: Parquet, CSV or NDJSON with key columns and a time")
      .addOption(
        new Option("--train-until <time>", "the train split: labels before this time")
          .argParser(parseTime)
          .conflicts(["trainShare", "splitColumn"]),
      )
      .addOption(
        new Option("--train-share <share>", "the train split: this share of the labels, the earliest ones")
          .argParser(parseTrainShare)
          .conflicts(["trainUntil", "splitColumn"]),
      )
      .addOption(
        new Option("--split-column <column=value>", "the train split: labels where this column has this value")
          .argParser(collectPair)
          .conflicts(["trainUntil", "trainShare"]),
      ),
  ).action(async (options: FitOptions) => {
    const output = createOutput(options.json === true);
    const split = splitOf(options);
    const { service } = options;
    const fitted = await output.withProgress("fit", (onProgress) =>
      withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
        interruptible((signal) =>
          platform.fit({ ...labelRequest(options, [service]), service, split, onProgress, signal }),
        ),
      ),
    );
    const { definition, fingerprint, version, sha256, parameters } = fitted;
    output.result(
      { service: serviceId(definition), fingerprint, fit: version, sha256, split: fitted.split, parameters },
      () => {
        const named = service.includes("@") ? serviceReference(definition) : serviceId(definition);
        const { train, rowsTrain, rowsTotal } = fitted.split;
        const rows = parameters.map((step) => [
          step.transformation,
          formatCount(step.values),
          JSON.stringify(step.parameters),
        ]);
        return [
          `fit ${version} of ${named}: ${formatCount(rowsTrain)} of ${formatCount(rowsTotal)} rows (${train})`,
          formatTable(["transformation", "values", "fitted to"], rows.map(shortened)),
        ].join("\n");
      },
    );
  });
  return withStandardOptions(withWorkerTableOptions(command));
}

function splitOf({ trainUntil, trainShare, splitColumn }: FitOptions): PlatformFitOptions["split"] {
  if (trainUntil !== undefined) return { until: trainUntil };
  if (trainShare !== undefined) return { share: trainShare };
  const [[column, value] = [], ...others] = Object.entries(splitColumn ?? {});
  if (column !== undefined && value !== undefined && others.length === 0) return { column, value };
  throw new OnefoldError("REQUEST_INVALID", "it is not said which label rows are the train split", {
    hint: "give one of --train-until TIME, --train-share 0.8 and --split-column COLUMN=VALUE; --train-share 1 is all of them",
  });
}

/** Long lists of categories are for `--json`. */
function shortened(cells: readonly string[]): string[] {
  return cells.map((cell) => (cell.length > 80 ? `${cell.slice(0, 77)}...` : cell));
}
