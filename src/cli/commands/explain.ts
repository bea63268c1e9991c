/** `onefold explain`: which events made a value what it is. */
import { Command, Option } from "commander";
import { formatMicros, type Micros } from "../../base/micros.ts";
import { type Platform } from "../../platform.ts";
import { collectPair, parseCount, parseTime, parseViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";

interface ExplainOptions extends StandardOptions {
  readonly feature: string;
  readonly entity: Readonly<Record<string, string>>;
  readonly asOf?: Micros;
  readonly limit: number;
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .description("list the events that a feature's value was made of")
    .argument("<view>", "the view, as name or name@version")
    .requiredOption("--feature <name>", "the feature to explain")
    .addOption(
      new Option("--entity <key=value>", "a key column and its value; give one for each key column")
        .argParser(collectPair)
        .makeOptionMandatory(),
    )
    .addOption(new Option("--as-of <time>", "read at this time (default: now)").argParser(parseTime))
    .addOption(
      new Option("--limit <events>", "show at most so many events, the newest").default(50).argParser(parseCount),
    )
    .action(async (view: string, options: ExplainOptions) => {
      const explanation = await withPlatform(options, "own-or-read", (platform) =>
        platform.explain({
          ...parseViewName(view),
          feature: options.feature,
          key: options.entity,
          eventsListed: options.limit,
          ...(options.asOf === undefined ? {} : { asOf: options.asOf }),
        }),
      );
      createOutput(options.json === true).result(explanation, () => formatExplanation(explanation));
    });
  return withStandardOptions(command);
}

function formatExplanation(explanation: Awaited<ReturnType<Platform["explain"]>>): string {
  const { view, feature, value, status, asOf, windowStart, exact, roles, events } = explanation;
  const edge = exact ? "" : ", later than asked for: older events are merged";
  const counts = Object.entries(roles).map(([role, count]) => `${formatCount(count)} ${role}`);
  return [
    `${view}:${feature} = ${formatCell(value)} (${status}) as of ${formatMicros(asOf)}`,
    ...(windowStart === null ? [] : [`window from ${formatMicros(windowStart)}${edge}`]),
    `events: ${counts.length === 0 ? "none" : counts.join(", ")}`,
    "",
    formatTable(
      ["offset", "event time", "known time", "input", "role"],
      events.map((event) => [
        String(event.offset),
        formatMicros(event.eventTime),
        formatMicros(event.knownTime),
        formatCell(event.input),
        event.role,
      ]),
    ),
  ].join("\n");
}
