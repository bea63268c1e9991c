/** `onefold train`: label rows joined, point in time, with a service's features. */
import { Command, Option } from "commander";
import { interruptible } from "../interrupt.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { type LabelOptions, labelRequest, withLabelOptions } from "../label-options.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface TrainOptions extends StandardOptions, LabelOptions, WorkerTableOptions {
  readonly out: string;
  readonly fit?: number;
  readonly statuses?: true;
}

export function trainCommand(): Command {
  const command = withLabelOptions(
    new Command("train")
      .description("build a training set: every label row once, in order, with the features known at its time")
      .requiredOption("--service <name>", "the service whose features are wanted")
      .requiredOption("--labels <file>", "label rows: Parquet, CSV or NDJSON with key columns and a time")
      .requiredOption("--out <file>", "where to write, .parquet or .csv; the manifest goes to <file>.manifest.json")
      .addOption(
        new Option(
          "--fit <version>",
          "the fit to transform with (default: the newest of the service; as served, each row's own)",
        ).argParser(parseCount),
      )
      .option("--statuses", "add a column <feature>__status for each feature"),
  ).action(async (options: TrainOptions) => {
    const output = createOutput(options.json === true);
    const set = await output.withProgress("train", (onProgress) =>
      withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
        interruptible((signal) =>
          platform.train({
            ...labelRequest(options),
            out: options.out,
            withStatuses: options.statuses === true,
            ...(options.fit === undefined ? {} : { fit: options.fit }),
            onProgress,
            signal,
          }),
        ),
      ),
    );
    output.result(
      { out: set.out, rows: set.rowCount, manifest: set.manifest },
      () => `${formatCount(set.rowCount)} rows, ${set.manifest.features.length} features: ${options.out}`,
    );
  });
  return withStandardOptions(withWorkerTableOptions(command));
}
