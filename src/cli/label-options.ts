/**
 * The options of commands that join label rows with features: `train` and `fit`.
 */
import { type Command, Option } from "commander";
import { OnefoldError } from "../base/errors.ts";
import type { FitOptions } from "../platform/platform-options.ts";
import { collect, collectPair } from "./option-values.ts";

export interface LabelOptions {
  readonly labels: string;
  readonly timeColumn?: string;
  readonly key?: Readonly<Record<string, string>>;
  readonly tokenColumn?: readonly string[];
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
    .addOption(
      new Option(
        "--token-column <name>",
        "column with the served vector's token, for --knowledge as-served; of several services service=column for each",
      ).argParser(collect),
    )
    .addOption(
      new Option("--knowledge <kind>", "what a label sees of the events")
        .choices(["as-known", "final", "as-served"])
        .default("as-known"),
    )
    .addOption(new Option("--inclusive", "a label at t sees events known at t").conflicts("exclusive"))
    .addOption(new Option("--exclusive", "a label at t sees only events known before t"))
    .option("--allow-after-log", "keep labels after the end of the log, flagged, instead of refusing them");
}

/** What the platform is told of them, and of the services. */
export function labelRequest(
  options: LabelOptions,
  services: readonly string[],
): Pick<
  FitOptions,
  "labels" | "timeColumn" | "tokenColumn" | "keyColumns" | "knowledge" | "boundary" | "allowAfterLog"
> {
  const tokenColumn = ofEachService("--token-column", services, options.tokenColumn);
  const boundary = options.inclusive === true ? "inclusive" : options.exclusive === true ? "exclusive" : undefined;
  return {
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
    ...(tokenColumn === undefined ? {} : { tokenColumn }),
    ...(boundary === undefined ? {} : { boundary }),
  };
}

/** `value` of the only service, or `service=value` of each. Throws `REQUEST_INVALID`. */
export function ofEachService(
  option: string,
  services: readonly string[],
  given: readonly string[] | undefined,
): string | Readonly<Record<string, string>> | undefined {
  if (given === undefined) return undefined;
  const pairs = given.map((text): [string | null, string] => {
    const service = services.find((name) => text.startsWith(`${name}=`)) ?? null;
    return [service, service === null ? text : text.slice(service.length + 1)];
  });
  const [first] = pairs;
  if (services.length === 1 && pairs.length === 1) return first![1];
  const unnamed = pairs.find(([service]) => service === null);
  if (unnamed === undefined) return Object.fromEntries(pairs as [string, string][]);
  throw new OnefoldError("REQUEST_INVALID", `${option} ${unnamed[1]} does not say which of the services it is of`, {
    where: `services ${services.join(", ")}`,
    hint: `write it as ${option} ${services[0]}=...`,
  });
}
