/** `onefold backfill`: a view computed anew from all history, beside what is served; what it takes is said first. */
import { Command, Option } from "commander";
import type { BackfillCost } from "../../platform.ts";
import { interruptible } from "../interrupt.ts";
import { parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
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
    .action(async (name: string, options: BackfillCommandOptions) => {
      const output = createOutput(options.json === true);
      const { view, version } = parseViewName(name);
      const definitions = hasDefinitions(options) ? await requireDefinitions(options) : [];
      const cost = await withPlatformOf(options, "read", { definitions }, (platform) =>
        platform.backfillCost({ view, ...(version === undefined ? {} : { version }), definitions }),
      );
      if (options.dryRun === true) {
        output.result({ view: name, cost }, () => formatCost(name, cost));
        return;
      }
      output.note(formatCost(name, cost));
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

function formatCost(name: string, cost: BackfillCost): string {
  const { events, readBytes, entities, stateBytes, seconds, trialEntities } = cost;
  if (events === 0) return `${name}: there are no events to compute it from`;
  return [
    `${name}: ${formatCount(events)} events of ${formatCount(entities)} entities, ${megabytes(readBytes)} to read`,
    `about ${megabytes(stateBytes)} of states and ${Math.max(1, Math.round(seconds))} s with nothing else going on (tried on ${formatCount(trialEntities)} entities)`,
  ].join("\n");
}

function megabytes(bytes: number): string {
  return bytes < 10e6 ? `${(bytes / 1e6).toFixed(2)} MB` : `${formatCount(Math.round(bytes / 1e6))} MB`;
}
