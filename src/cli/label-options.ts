/**
 * The options of commands that join label rows with features: `train` and `fit`.
 */
import { type Command, Option } from "commander";
import type { FitOptions } from "../platform/platform-options.ts";
import { collectPair } from "./option-values.ts";

export interface LabelOptions {
  readonly service: string;
  readonly labels: string;
  readonly timeColumn?: string;
  readonly key?: Readonly<Record<string, string>>;
  readonly tokenColumn?: string;
  readonly knowledge: "as-known" | "final" | "as-served";
  readonly inclusive?: true;
  readonly exclusive?: true;
  readonly allowAfterLog?: true;
}

export function withLabelOptions(command: Command): Command {
  return command
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
    .option("--allow-after-log", "keep labels after the end of the log, flagged, instead of refusing them");
}

/** What the platform is told of them. */
export function labelRequest(
  options: LabelOptions,
): Pick<
  FitOptions,
  "service" | "labels" | "timeColumn" | "tokenColumn" | "keyColumns" | "knowledge" | "boundary" | "allowAfterLog"
> {
  const boundary = options.inclusive === true ? "inclusive" : options.exclusive === true ? "exclusive" : undefined;
  return {
    service: options.service,
    labels: options.labels,
    knowledge: options.knowledge,
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
