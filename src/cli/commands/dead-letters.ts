/** `onefold dead-letters list | replay | resolve`: rows that were refused, why, and another try or an end of it. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { DeadLetterSurvey, ReplayResult } from "../../platform/dead-letter-desk.ts";
import { callServer } from "../http-call.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface UrlOption {
  /** Of a server that is asked instead of the data folder. */
  readonly url?: string;
}

interface ListOptions extends StandardOptions, UrlOption {
  readonly source?: string;
  readonly code?: string;
  readonly view?: string;
  readonly limit: number;
}

interface ReplayOptions extends StandardOptions, UrlOption {
  readonly source: string;
  readonly id?: readonly string[];
}

interface ResolveOptions extends StandardOptions, UrlOption {
  readonly source: string;
  readonly code?: string;
  readonly view?: string;
  readonly id?: readonly string[];
}

/** As the server answers. */
interface Listed {
  readonly dead_letters: DeadLetterSurvey["letters"];
  readonly dropped: number;
}
interface Replayed extends Omit<ReplayResult, "notReplayable"> {
  readonly not_replayable: number;
}

const urlOption = (): Option =>
  new Option("--url <address>", "ask a running server instead of opening the data folder");

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
    .addOption(urlOption())
    .addOption(new Option("--limit <rows>", "at most so many").default(100).argParser(parseCount))
    .action(async (options: ListOptions) => {
      const { letters, dropped } = await listed(options);
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

async function listed({ url, ...options }: ListOptions): Promise<DeadLetterSurvey> {
  const { source, code, view, limit } = options;
  const chosen = {
    ...(source === undefined ? {} : { source }),
    ...(code === undefined ? {} : { code }),
    ...(view === undefined ? {} : { view }),
  };
  if (url === undefined) {
    return withPlatform(options, "read", (platform) => platform.deadLetters().survey({ limit, ...chosen }));
  }
  const query = new URLSearchParams({ ...chosen, limit: String(limit) });
  const answer = (await callServer(url, "GET", `/dead-letters?${query}`)) as unknown as Listed;
  return { letters: answer.dead_letters, dropped: answer.dropped };
}

function replayCommand(): Command {
  const command = new Command("replay")
    .description("push refused rows again")
    .requiredOption("--source <name>", "of this source")
    .option("--id <id...>", "only these (default: all of the source)")
    .addOption(urlOption())
    .action(async (options: ReplayOptions) => {
      const report = await replayed(options);
      createOutput(options.json === true).result(
        report,
        () =>
          `${formatCount(report.accepted)} accepted, ${formatCount(report.duplicates)} duplicates, ` +
          `${formatCount(report.rejected)} refused again${foldHint(report.notReplayable)}`,
      );
    });
  return withStandardOptions(command);
}

async function replayed({ source, id, url, ...options }: ReplayOptions): Promise<ReplayResult> {
  const shown = ({ accepted, duplicates, rejected, not_replayable: notReplayable }: Replayed): ReplayResult => {
    return { accepted, duplicates, rejected, notReplayable };
  };
  if (url !== undefined) {
    const body = id === undefined ? {} : { ids: id };
    return shown((await callServer(url, "POST", pathOf(source, "replay"), body)) as unknown as Replayed);
  }
  const asked = { call: "replay", given: id === undefined ? [source] : [source, id] };
  return shown(await askedLetters<Replayed>(options, asked));
}

function pathOf(source: string, work: "replay" | "resolve"): string {
  return `/dead-letters/${encodeURIComponent(source)}/${work}`;
}

/** As the owner of the data folder, or asked of the server that is. */
function askedLetters<T>(
  options: StandardOptions,
  asked: { readonly call: string; readonly given: readonly unknown[] },
): Promise<T> {
  return asOwner<T>(options, "own", {}, { work: "letters", asked }, async ({ monitoring }) => {
    const { askMonitoring } = await import("../../platform/monitoring/alert-answers.ts");
    return (await askMonitoring(monitoring, { desk: "letters", ...asked })) as T;
  });
}

function resolveCommand(): Command {
  const command = new Command("resolve")
    .description("mark refused rows as seen to, for good: those that cannot be pushed again, or need not be")
    .requiredOption("--source <name>", "of this source")
    .option("--code <code>", "refused with this error code")
    .option("--view <view>", "refused by this view while folding, as name@version")
    .option("--id <id...>", "only these")
    .addOption(urlOption())
    .action(async (options: ResolveOptions) => {
      const { source, code, view, id, url } = options;
      const filter = {
        ...(code === undefined ? {} : { code }),
        ...(view === undefined ? {} : { view }),
        ...(id === undefined ? {} : { ids: id }),
      };
      if (Object.keys(filter).length === 0) {
        throw new OnefoldError("REQUEST_INVALID", "it is not said which letters are resolved", {
          hint: "give --code, --view or --id, or several that must all apply",
        });
      }
      const { resolved } = await (url === undefined
        ? askedLetters<{ readonly resolved: number }>(options, { call: "resolve", given: [source, filter] })
        : (callServer(url, "POST", pathOf(source, "resolve"), filter) as Promise<unknown> as Promise<{
            readonly resolved: number;
          }>));
      createOutput(options.json === true).result({ resolved }, () => `${formatCount(resolved)} resolved`);
    });
  return withStandardOptions(command);
}

function foldHint(count: number): string {
  if (count === 0) return "";
  return `\n${formatCount(count)} refused by views while folding: their events are in the log, and a new version of the view folds them, and \`onefold dead-letters resolve\` closes them`;
}
