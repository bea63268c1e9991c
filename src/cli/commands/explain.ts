/** `onefold explain`: which events made a value what it is. */
import { Command, Option } from "commander";
import { formatMicros, type Micros, MICROS_PER_SECOND } from "../../base/micros.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Platform } from "../../platform.ts";
import type { Registry } from "../../registry/registry.ts";
import { checkValue } from "../../schema/check-value.ts";
import { encodeEntityKey, type EntityKey } from "../../schema/entity-key.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { collectPair, parseCount, parseTime, parseViewName, type ViewName } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";
import { secondsText } from "../time-text.ts";

interface ExplainOptions extends StandardOptions, WorkerTableOptions {
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
      const name = parseViewName(view);
      const explanation = await withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
        platform.explain({
          ...name,
          feature: options.feature,
          key: keyOf(platform.registry, name, options.entity),
          eventsListed: options.limit,
          ...(options.asOf === undefined ? {} : { asOf: options.asOf }),
        }),
      );
      createOutput(options.json === true).result(explanation, () => formatExplanation(explanation));
    });
  return withStandardOptions(withWorkerTableOptions(command));
}

/** The entity's canonical key from `column=value` pairs. */
function keyOf(registry: Registry, name: ViewName, pairs: Readonly<Record<string, string>>): EntityKey {
  const view = registry.view(name.view, name.version).definition;
  const { keys } = registry.entity(view.entity).definition;
  const unknown = Object.keys(pairs).find((column) => !keys.some((key) => key.name === column));
  if (unknown !== undefined) {
    throw new OnefoldError("REQUEST_INVALID", `${view.entity} has no key column "${unknown}"`, {
      hint: `its key is ${keys.map((key) => key.name).join(", ")}`,
    });
  }
  const values = keys.map(({ name: column, type }) => {
    const text = pairs[column];
    if (text === undefined) throw new OnefoldError("KEY_MISSING", `--entity ${column}=... is missing`);
    return checkValue(text, type, { allowNonFinite: false, where: column });
  });
  return encodeEntityKey(
    values,
    keys.map((key) => key.type),
  );
}

type Explanation = Awaited<ReturnType<Platform["explain"]>>;

function formatExplanation(explanation: Explanation): string {
  const { view, feature, value, status, asOf, windowStart, exact, roles, events, lateEvents } = explanation;
  const edge = exact ? "" : ", later than asked for: older events are merged";
  const counts = Object.entries(roles).map(([role, count]) => `${formatCount(count)} ${role}`);
  return [
    `${view}:${feature} = ${formatCell(value)} (${status}) as of ${formatMicros(asOf)}`,
    ...(windowStart === null ? [] : [`window from ${formatMicros(windowStart)}${edge}`]),
    `events: ${counts.length === 0 ? "none" : counts.join(", ")}${lateEvents === 0 ? "" : `; ${formatCount(lateEvents)} late`}`,
    ...(events.length === 0 ? [] : ["", eventTable(events)]),
  ].join("\n");
}

function eventTable(events: Explanation["events"]): string {
  return formatTable(
    ["offset", "event time", "known time", "late by", "input", "role"],
    events.map((event) => [
      String(event.offset),
      formatMicros(event.eventTime),
      formatMicros(event.knownTime),
      event.late ? secondsText(event.lateByMicros / MICROS_PER_SECOND) : "",
      formatCell(event.input),
      event.role,
    ]),
  );
}
