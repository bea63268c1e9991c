/** `onefold materialize`: the feature rows of past minutes into the view's offline table. */
import { Command, Option } from "commander";
import type { Micros } from "../../base/micros.ts";
import { interruptible } from "../interrupt.ts";
import { parseTime, parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withStandardOptions } from "../standard-options.ts";

interface MaterializeCommandOptions extends StandardOptions {
  readonly from?: Micros;
  readonly to?: Micros;
}

export function materializeCommand(): Command {
  const command = new Command("materialize")
    .description("write the feature rows of past minutes that a view's offline table lacks, here or with the server")
    .argument("<view>", "the view, as name or name@version")
    .addOption(new Option("--from <time>", "minutes that begin then or later (default: all)").argParser(parseTime))
    .addOption(new Option("--to <time>", "minutes that end then or earlier (default: now)").argParser(parseTime))
    .action(async (name: string, options: MaterializeCommandOptions) => {
      const output = createOutput(options.json === true);
      const { view, version } = parseViewName(name);
      const wanted = {
        name: view,
        ...(typeof version === "number" ? { version } : {}),
        ...(options.from === undefined ? {} : { from: options.from }),
        ...(options.to === undefined ? {} : { to: options.to }),
      };
      const report = await interruptible((signal) =>
        output.withProgress("materialize", (onProgress) =>
          asOwner(options, "own", {}, { work: "materialize", asked: wanted, onProgress, signal }, (platform) =>
            platform.materialize({ ...wanted, onProgress, signal }),
          ),
        ),
      );
      output.result(report, () => `${report.view}: ${formatCount(report.rows)} rows added`);
    });
  return withStandardOptions(command);
}
