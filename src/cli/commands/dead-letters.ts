/** `onefold dead-letters list | replay | resolve`: rows that were refused, why, and another try or an end of it. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface ListOptions extends StandardOptions {
  readonly source?: string;
  readonly code?: string;
  readonly view?: string;
  readonly limit: number;
}

interface ReplayOptions extends StandardOptions {
  readonly source: string;
  readonly id?: readonly string[];
}

interface ResolveOptions extends StandardOptions {
  readonly source: string;
  readonly code?: string;
  readonly view?: string;
  readonly id?: readonly string[];
}

export function deadLettersCommand(): Command {
  return new Command("dead-letters")
    .description("rows that were refused: list them, try them again, or resolve them")
    .addCommand(listCommand())
    .addCommand(replayCommand())
    .addCommand(resolveCommand());
}

function listCommand(): Command {
  const command = new Command("list")
    .description("list rows that were refused and not taken in since")
    .option("--source <name>", "of this source")
    .option("--code <code>", "refused with this error code")
    .option("--view <view>", "refused by this view while folding, as name@version")
    .addOption(new Option("--limit <rows>", "at most so many").default(100).argParser(parseCount))
    .action(async (options: ListOptions) => {
      const { letters, dropped } = await withPlatform(options, "read", (platform) =>
        platform.deadLetters().survey({
          limit: options.limit,
          ...(options.source === undefined ? {} : { source: options.source }),
          ...(options.code === undefined ? {} : { code: options.code }),
          ...(options.view === undefined ? {} : { view: options.view }),
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

function resolveCommand(): Command {
  const command = new Command("resolve")
    .description("mark refused rows as seen to, for good: those that cannot be pushed again, or need not be")
    .requiredOption("--source <name>", "of this source")
    .option("--code <code>", "refused with this error code")
    .option("--view <view>", "refused by this view while folding, as name@version")
    .option("--id <id...>", "only these")
    .action(async (options: ResolveOptions) => {
      const { source, code, view, id } = options;
      const filter = {
        ...(code === undefined ? {} : { code }),
        ...(view === undefined ? {} : { view }),
        ...(id === undefined ? {} : { ids: new Set(id) }),
      };
      if (Object.keys(filter).length === 0) {
        throw new OnefoldError("REQUEST_INVALID", "it is not said which letters are resolved", {
          hint: "give --code, --view or --id, or several that must all apply",
        });
      }
      const resolved = await withPlatform(options, "own", (platform) =>
        platform.deadLetters().resolve({ source, filter }),
      );
      createOutput(options.json === true).result({ resolved }, () => `${formatCount(resolved)} resolved`);
    });
  return withStandardOptions(command);
}

function foldHint(count: number): string {
  if (count === 0) return "";
  return `\n${formatCount(count)} refused by views while folding: their events are in the log, and a new version of the view folds them, and \`onefold dead-letters resolve\` closes them`;
}
