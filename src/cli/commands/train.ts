/** `onefold train`: label rows joined, point in time, with a service's features. */
import { Command, Option } from "commander";
import type { TrainOptions as PlatformTrainOptions } from "../../platform.ts";
import { interruptible } from "../interrupt.ts";
import { collectPair } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";

interface TrainOptions extends StandardOptions {
  readonly service: string;
  readonly labels: string;
  readonly out: string;
  readonly timeColumn?: string;
  readonly key?: Readonly<Record<string, string>>;
  readonly tokenColumn?: string;
  readonly knowledge: "as-known" | "final" | "as-served";
  readonly inclusive?: true;
  readonly exclusive?: true;
  readonly statuses?: true;
  readonly allowAfterLog?: true;
}

export function trainCommand(): Command {
  const command = new Command("train")
    .description("build a training set: every label row once, in order, with the features known at its time")
    .requiredOption("--service <name>", "the service whose features are wanted")
    .requiredOption("--labels <file>", "label rows: Parquet, CSV or NDJSON with key columns and a time")
    .requiredOption("--out <file>", "where to write, .parquet or .csv; the manifest goes to <file>.manifest.json")
    .option(
      "--time-column <name>",
      "column with the label's time (default: event_timestamp, timestamp, label_time or t)",
    )
    .addOption(
      new Option(
        "--key <entity=columns>",
        "label columns that hold an entity's key, as entity=column[,column]",
      ).argParser(collectPair),
    )
    .option("--token-column <name>", "column with the served vector's token, for --knowledge as-served")
    .addOption(
      new Option("--knowledge <kind>", "what a label sees of the events")
        .choices(["as-known", "final", "as-served"])
        .default("as-known"),
    )
    .addOption(new Option("--inclusive", "a label at t sees events known at t").conflicts("exclusive"))
    .addOption(new Option("--exclusive", "a label at t sees only events known before t"))
    .option("--statuses", "add a column <feature>__status for each feature")
    .option("--allow-after-log", "keep labels after the end of the log, flagged, instead of refusing them")
    .action(async (options: TrainOptions) => {
      const output = createOutput(options.json === true);
      const set = await output.withProgress("train", (onProgress) =>
        withPlatform(options, "own-or-read", (platform) =>
          interruptible((signal) => platform.train({ ...trainingRequest(options), onProgress, signal })),
        ),
      );
      output.result(
        { out: set.out, rows: set.rowCount, manifest: set.manifest },
        () => `${formatCount(set.rowCount)} rows, ${set.manifest.features.length} features: ${options.out}`,
      );
    });
  return withStandardOptions(command);
}

function trainingRequest(options: TrainOptions): PlatformTrainOptions {
  const boundary = options.inclusive === true ? "inclusive" : options.exclusive === true ? "exclusive" : undefined;
  return {
    service: options.service,
    labels: options.labels,
    out: options.out,
    knowledge: options.knowledge,
    withStatuses: options.statuses === true,
    allowAfterLog: options.allowAfterLog === true,
    ...(options.timeColumn === undefined ? {} : { timeColumn: options.timeColumn }),
    ...(options.key === undefined
      ? {}
      : {
          keyColumns: Object.fromEntries(
            Object.entries(options.key).map(([entity, columns]) => [entity, columns.split(",")]),
          ),
        }),
    ...(options.tokenColumn === undefined ? {} : { tokenColumn: options.tokenColumn }),
    ...(boundary === undefined ? {} : { boundary }),
  };
}
