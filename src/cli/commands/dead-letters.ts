/** `onefold dead-letters list | replay`: rows that were refused, why, and another try. */
import { Command, Option } from "commander";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface ListOptions extends StandardOptions {
  readonly source?: string;
  readonly code?: string;
  readonly limit: number;
}

interface ReplayOptions extends StandardOptions {
  readonly source: string;
  readonly id?: readonly string[];
}

export function deadLettersCommand(): Command {
  return new Command("dead-letters")
    .description("rows that were refused: list them, or try them again")
    .addCommand(listCommand())
    .addCommand(replayCommand());
}

function listCommand(): Command {
  const command = new Command("list")
    .description("list rows that were refused and not taken in since")
    .option("--source <name>", "of this source")
    .option("--code <code>", "refused with this error code")
    .addOption(new Option("--limit <rows>", "at most so many").default(100).argParser(parseCount))
    .action(async (options: ListOptions) => {
      const { letters, dropped } = await withPlatform(options, "read", (platform) =>
        platform.deadLetters().survey({
          limit: options.limit,
          ...(options.source === undefined ? {} : { source: options.source }),
          ...(options.code === undefined ? {} : { code: options.code }),
        }),
      );
      const output = createOutput(options.json === true);
      if (dropped > 0) {
        const them = dropped === 1 ? "1 older letter was" : `${formatCount(dropped)} older letters were`;
        output.note(`${them} dropped to make room for newer ones`);
      }
      output.result({ dead_letters: letters, dropped }, () =>
        letters.length === 0
          ? "no dead letters"
          : formatTable(
              ["id", "source", "at", "code", "message", "payload"],
              letters.map((letter) => [
                letter.id,
                letter.source,
                letter.at,
                letter.code,
                letter.message,
                JSON.stringify(letter.payload).slice(0, 120),
              ]),
            ),
      );
    });
  return withStandardOptions(command);
}

function replayCommand(): Command {
  const command = new Command("replay")
    .description("push refused rows again")
    .requiredOption("--source <name>", "of this source")
    .option("--id <id...>", "only these (default: all of the source)")
    .action(async (options: ReplayOptions) => {
      const report = await withPlatform(options, "own", (platform) =>
        platform.deadLetters().replay({ source: options.source, ids: options.id ?? "all" }),
      );
      createOutput(options.json === true).result(
        report,
        () =>
          `${formatCount(report.accepted)} accepted, ${formatCount(report.duplicates)} duplicates, ` +
          `${formatCount(report.rejected)} refused again${foldHint(report.notReplayable)}`,
      );
    });
  return withStandardOptions(command);
}

function foldHint(count: number): string {
  if (count === 0) return "";
  return `\n${formatCount(count)} refused by views while folding: their events are in the log, and a new version of the view folds them`;
}
