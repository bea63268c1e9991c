/** `onefold backfill`: a view computed anew from all history, beside what is served; what it takes is said first. */
import { Command, InvalidArgumentError, Option } from "commander";
import { costText } from "../cost-text.ts";
import { interruptible } from "../interrupt.ts";
import { parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import {
  asOwner,
  hasDefinitions,
  requireDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";

interface BackfillCommandOptions extends StandardOptions {
  readonly dryRun?: true;
}

export function backfillCommand(): Command {
  const command = new Command("backfill")
    .description(
      "compute a registered view anew from all history and the log, and serve it from there; cut short, it goes on when run again",
    )
    .argument("<view>", "the view, as name or name@version")
    .addOption(new Option("--dry-run", "say what it takes, and do nothing; of a view that is not registered yet, too"))
    .addOption(new Option("--from <time>").hideHelp().argParser(refusePart))
    .addOption(new Option("--to <time>").hideHelp().argParser(refusePart))
    .action(async (name: string, options: BackfillCommandOptions) => {
      const output = createOutput(options.json === true);
      const { view, version } = parseViewName(name);
      const definitions = hasDefinitions(options) ? await requireDefinitions(options) : [];
      const cost = await withPlatformOf(options, "read", { definitions }, (platform) =>
        platform.backfillCost({ view, ...(version === undefined ? {} : { version }), definitions }),
      );
      if (options.dryRun === true) {
        output.result({ view: name, cost }, () => costText(name, cost));
        return;
      }
      output.note(costText(name, cost));
      const began = performance.now();
      const wanted = { name: view, ...(version === undefined ? {} : { version }) };
      await interruptible((signal) =>
        output.withProgress("backfill", (onProgress) => {
          const asked = { work: "backfill", asked: { view: wanted }, onProgress, signal };
          return asOwner(options, "own", { definitions, onProgress }, asked, (platform) =>
            platform.backfill(wanted, { onProgress, signal }),
          );
        }),
      );
      const seconds = (performance.now() - began) / 1000;
      output.result({ view: name, cost, seconds }, () => `${name} is computed anew, in ${seconds.toFixed(1)} s`);
    });
  return withStandardOptions(command);
}

/** Whoever asks for a part is told why there is none, and not only that the option is unknown. */
function refusePart(): never {
  throw new InvalidArgumentError(
    "A view is computed from all its events: from a part of them it would serve what no training set has. The feature rows of a time are written by onefold materialize.",
  );
}
