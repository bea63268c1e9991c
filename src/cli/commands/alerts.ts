/** `onefold alerts`: what fires, what happened, silences, and whether a destination can be reached. */
import { Command, Option } from "commander";
import { byOption } from "../change-options.ts";
import { OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import type { ShownAlerts, ShownEvent, ShownSilence } from "../../platform/monitoring/alert-answers.ts";
import { alertsText, eventsText, findingText } from "../alerts-text.ts";
import { parseCount } from "../option-values.ts";
import { createOutput, type Output } from "../output.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";

export function alertsCommand(): Command {
  const command = new Command("alerts").description("list alerts, their history and silences; try destinations");
  for (const part of [list(), history(), show(), silence(), unsilence(), test()]) command.addCommand(part);
  return command;
}

interface HistoryOptions extends StandardOptions {
  readonly rule?: string;
  readonly event?: string;
  readonly since?: string;
  readonly limit: number;
}

interface SilenceOptions extends StandardOptions {
  readonly rule?: string;
  readonly source?: string;
  readonly view?: string;
  readonly feature?: string;
  readonly service?: string;
  readonly expectation?: string;
  readonly until: string;
  readonly by: string;
  readonly comment?: string;
}

function list(): Command {
  return withStandardOptions(
    new Command("list").description("what fires, or is about to").action(async (options: StandardOptions) => {
      const output = createOutput(options.json === true);
      const alerts = await listed(options, output);
      output.result(alerts, () => alertsText(alerts));
    }),
  );
}

function history(): Command {
  return withStandardOptions(
    new Command("history")
      .description("what happened, the newest first")
      .option("--rule <name>", "of this rule")
      .option("--event <event>", "firing, resolved, delivered, undelivered, silenced, training-started, ...")
      .option("--since <time>", "from this time on, RFC 3339")
      .addOption(new Option("--limit <number>", "newest entries").default(50).argParser(parseCount))
      .action(async (options: HistoryOptions) => {
        const events = await historyOf(options, options);
        createOutput(options.json === true).result({ events }, () => eventsText(events));
      }),
  );
}

function show(): Command {
  return withStandardOptions(
    new Command("show")
      .description("one rule: what it fires for, and what it last did")
      .argument("<rule>", "name of an alert or a retraining")
      .action(async (rule: string, options: StandardOptions) => {
        const output = createOutput(options.json === true);
        const { alerts } = await listed(options, output);
        const events = await historyOf(options, { rule, limit: 20 });
        const { ruleNames } = await import("../../platform/monitoring/alerts.ts");
        const names = await withPlatform(options, "read", async ({ registry }) => ruleNames(registry));
        const mine = alerts.filter((alert) => alert.rule === rule);
        if (!names.includes(rule) && mine.length === 0) {
          throw new OnefoldError("DEFINITION_UNKNOWN", `there is no rule "${rule}"`, {
            candidates: nearestNames(rule, names),
          });
        }
        output.result({ rule, alerts: mine, events }, () =>
          [
            ...mine.map(findingText),
            ...(mine.length === 0 ? [`${rule} fires for nothing`] : []),
            "",
            eventsText(events),
          ].join("\n"),
        );
      }),
  );
}

function silence(): Command {
  const command = new Command("silence").description("tell nobody of what matches, until some time");
  for (const part of ["rule", "source", "view", "feature", "service", "expectation"])
    command.option(
      `--${part} <name>`,
      part === "rule" ? "of this rule (default: of every rule)" : `of this ${part} alone`,
    );
  return withStandardOptions(
    command
      .requiredOption("--until <time>", "RFC 3339, or a duration from now such as 2h")
      .addOption(byOption())
      .option("--comment <text>", "why")
      .action(async (options: SilenceOptions) => {
        const { rule, source, view, feature, service, expectation, until, by, comment } = options;
        const given = { rule, source, view, feature, service, expectation, until, by, comment };
        const made = await askServer<ShownSilence>(options, "silence", [
          Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        ]);
        createOutput(options.json === true).result({ silence: made }, () => `silent until ${made.until}: ${made.id}`);
      }),
  );
}

function unsilence(): Command {
  return withStandardOptions(
    new Command("unsilence")
      .description("end a silence")
      .argument("<id>", "as `alerts list` says it")
      .action(async (id: string, options: StandardOptions) => {
        const ended = await askServer<ShownSilence>(options, "unsilence", [id]);
        createOutput(options.json === true).result({ silence: ended }, () => `${ended.id} is over`);
      }),
  );
}

function test(): Command {
  return withStandardOptions(
    new Command("test")
      .description("send a destination a notice that says nothing is wrong, from the server where one runs")
      .argument("<destination>", "name of a webhook or command")
      .action(async (destination: string, options: StandardOptions) => {
        const done =
          (await ask<{ delivered: true; notice_id: string }>(options, "test", [destination])) ??
          (await withPlatform(options, "read", async ({ registry }) => {
            const { tryDestination } = await import("../../platform/monitoring/alert-answers.ts");
            return tryDestination(registry, destination);
          }));
        createOutput(options.json === true).result(done, () => `${destination} took notice ${done.notice_id}`);
      }),
  );
}

async function listed(options: StandardOptions, output: Output): Promise<ShownAlerts> {
  const asked = await ask<ShownAlerts>(options, "list", []);
  if (asked !== null) return asked;
  output.note("no server is running: this is what was stored last");
  const { storedAlerts } = await import("../../platform/monitoring/alert-answers.ts");
  return withPlatform(options, "read", ({ dataDir, registry, clock }) => storedAlerts(dataDir, registry, clock));
}

async function historyOf(
  options: StandardOptions,
  { rule, event, since, limit }: Omit<HistoryOptions, keyof StandardOptions>,
): Promise<readonly ShownEvent[]> {
  const given = Object.entries({ rule, event, since, limit }).filter(([, value]) => value !== undefined);
  const request = Object.fromEntries(given);
  const asked = await ask<readonly ShownEvent[]>(options, "history", [request]);
  if (asked !== null) return asked;
  const { storedHistory } = await import("../../platform/monitoring/alert-answers.ts");
  return storedHistory(options.data, request);
}

async function askServer<T>(options: StandardOptions, call: string, given: readonly unknown[]): Promise<T> {
  const asked = await ask<T>(options, call, given);
  if (asked !== null) return asked;
  throw new OnefoldError("ALERTS_NOT_OFFERED", `no server judges the alerts of ${options.data}`, {
    hint: "start one with: onefold serve",
  });
}

/** Null where no server owns the folder. */
async function ask<T>(options: StandardOptions, call: string, given: readonly unknown[]): Promise<T | null> {
  const { askOwner } = await import("../owner-desk.ts");
  const { refuseMissing } = await import("../../platform/data-folder.ts");
  refuseMissing(options.data);
  const answered = await askOwner<T>(options.data, "alerts", { call, given }, () => {});
  return answered === null ? null : answered.done;
}
