/** `onefold export`: a view's values of all its entities at one moment, as a file. */
import { Command, Option } from "commander";
import { formatMicros, type Micros } from "../../base/micros.ts";
import { interruptible } from "../interrupt.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { parseTime, parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface ExportOptions extends StandardOptions, WorkerTableOptions {
  readonly out: string;
  readonly asOf?: Micros;
}

export function exportCommand(): Command {
  const command = new Command("export")
    .description("write a view's values of all its entities to a file, one row an entity")
    .argument("<view>", "the view, as name or name@version")
    .requiredOption("-o, --out <file>", "where to write, .parquet or .csv")
    .addOption(
      new Option("--as-of <time>", "read at this time, of the events known by then (default: now)").argParser(
        parseTime,
      ),
    )
    .action(async (name: string, options: ExportOptions) => {
      const output = createOutput(options.json === true);
      const { out, asOf } = options;
      const exported = await output.withProgress("export", (onProgress) =>
        withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
          interruptible((signal) =>
            platform.batch.exportView({
              ...parseViewName(name),
              out,
              ...(asOf === undefined ? {} : { asOf }),
              onProgress: (done, total) => onProgress({ phase: "entities", done, total }),
              signal,
            }),
          ),
        ),
      );
      const { rowCount, eventsFolded, eventsPoisoned } = exported;
      const asOfText = formatMicros(exported.asOf);
      output.result(
        { out, rows: rowCount, as_of: asOfText, events_folded: eventsFolded, events_poisoned: eventsPoisoned },
        () => `${formatCount(rowCount)} entities as of ${asOfText}, of ${formatCount(eventsFolded)} events: ${out}`,
      );
    });
  return withStandardOptions(withWorkerTableOptions(command));
}
