/** `onefold retire`: takes a version of a view or a service out for good, once nobody reads it, and gives its room back. */
import { Command, Option } from "commander";
import type { RecentReads, Retirement, RetireOptions } from "../../platform/version-desk.ts";
import { byOption, kindOption } from "../change-options.ts";
import { createOutput } from "../output.ts";
import { parseCount } from "../option-values.ts";
import { formatCount } from "../progress.ts";
import {
  accessToRegister,
  asOwner,
  type StandardOptions,
  withPlatform,
  withStandardOptions,
} from "../standard-options.ts";

interface RetireCommandOptions extends StandardOptions {
  readonly days?: number;
  readonly force?: true;
  readonly dryRun?: true;
  readonly by: string;
  readonly kind?: "view" | "service";
  readonly online?: string;
}

export function retireCommand(): Command {
  const command = new Command("retire")
    .description("take a version of a view or of a service out for good, once nobody reads it, with its states")
    .argument("<name@version>", "the version, as delay@1; or an experiment that was stopped")
    .addOption(new Option("--days <number>", "reads of so many days keep it (default: 7)").argParser(parseCount))
    .addOption(new Option("--force", "in spite of recent reads; nothing else is passed over"))
    .addOption(new Option("--dry-run", "say what keeps it and what would be given back, and do nothing"))
    .addOption(
      new Option(
        "--online <url>",
        "remove what workers on Kafka folded there of a view that was retired: redis://host:port",
      ).conflicts(["days", "force", "dryRun"]),
    )
    .addOption(byOption())
    .addOption(kindOption())
    .action(async (target: string, options: RetireCommandOptions) => {
      if (options.online !== undefined) return dropFolded(target, options, options.online);
      const asked = { target, options: retireOptions(options) };
      const result =
        options.dryRun === true
          ? await withPlatform(options, "read", (platform) => platform.versions.retire(target, asked.options))
          : await asOwner(options, accessToRegister(options, "own"), {}, { work: "retire", asked }, (platform) =>
              platform.versions.retire(target, asked.options),
            );
      createOutput(options.json === true).result(result, () => formatRetirement(result));
    });
  return withStandardOptions(command);
}

async function dropFolded(view: string, options: StandardOptions, url: string): Promise<void> {
  const drop = await import("../../platform/online/drop-folded.ts");
  const password = process.env["ONEFOLD_REDIS_PASSWORD"];
  const dropped = await withPlatform(options, "read", ({ registry }) =>
    drop.dropFolded(view, { registry, url, ...(password === undefined ? {} : { password }) }),
  );
  createOutput(options.json === true).result({ view, dropped }, () =>
    dropped
      ? `what workers folded of ${view} is removed; one that has it still and got no event meanwhile folds it again with the next`
      : `there is nothing of ${view} that workers folded`,
  );
}

function retireOptions({ days, force, dryRun, by, kind }: RetireCommandOptions): RetireOptions {
  return {
    by,
    ...(days === undefined ? {} : { days }),
    ...(force === undefined ? {} : { force }),
    ...(dryRun === undefined ? {} : { dry_run: dryRun }),
    ...(kind === undefined ? {} : { kind }),
  };
}

function formatRetirement({ retired, name, version, readers, recent_reads: reads, ...bytes }: Retirement): string {
  const what = version === null ? name : `${name}@${version}`;
  const given = [
    ...(bytes.state_bytes === null ? [] : [`${formatCount(bytes.state_bytes)} bytes of states`]),
    `${formatCount(bytes.table_bytes)} bytes of feature rows`,
  ].join(", ");
  if (retired) return `${what} is retired; given back: ${given}`;
  const keeps = [...readers, ...(reads?.map(readText) ?? [UNKNOWN_READS])];
  if (keeps.length === 0) return `nothing reads ${what}; retiring it gives back ${given}`;
  return [`${what} would not be retired:`, ...keeps.map((line) => `  ${line}`)].join("\n");
}

const UNKNOWN_READS =
  "who has read it lately is not known here: ask each server with --dry-run (--force passes over reads)";

function readText({ consumer, reads, last_read_on: on }: RecentReads): string {
  const who = consumer === "" ? "somebody without a name" : `the consumer ${consumer}`;
  return `${who} has read it ${formatCount(reads)} times lately, last on ${on} (--force passes over reads)`;
}
