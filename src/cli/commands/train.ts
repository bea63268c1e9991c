/** `onefold train`: label rows joined, point in time, with a service's features. */
import { Command, Option } from "commander";
import { interruptible } from "../interrupt.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { type LabelOptions, labelRequest, withLabelOptions } from "../label-options.ts";
import { parseBytes, parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface TrainOptions extends StandardOptions, LabelOptions, WorkerTableOptions {
  readonly out: string;
  readonly fit?: number;
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
      .requiredOption("--service <name>", "the service whose features are wanted")
      .requiredOption("--labels <file>", "label rows: Parquet, CSV or NDJSON with key columns and a time")
      .requiredOption("--out <file>", "where to write, .parquet or .csv; the manifest goes to <file>.manifest.json")
      .addOption(
        new Option(
          "--fit <version>",
          "the fit to transform with (default: the newest of the service; as served, each row's own)",
        ).argParser(parseCount),
      )
      .option("--statuses", "add a column <feature>__status for each feature")
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
    output.result(
      { out: set.out, rows: set.rowCount, manifest: set.manifest },
      () => `${formatCount(set.rowCount)} rows, ${set.manifest.features.length} features: ${options.out}`,
    );
  });
  return withStandardOptions(withWorkerTableOptions(command));
}
