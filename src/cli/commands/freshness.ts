/** `onefold freshness`: how far behind, how silent and how old everything is, and whether that is as promised. */
import { Command, Option } from "commander";
import type {
  FreshnessReport,
  Promised,
  SourceFreshness,
  ViewFreshness,
} from "../../platform/monitoring/freshness-watch.ts";
import { callServer } from "../http-call.ts";
import { parseCount } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { secondsText } from "../time-text.ts";

interface FreshnessCommandOptions extends StandardOptions {
  readonly oldest: number;
  readonly url?: string;
}

export function freshnessCommand(): Command {
  const command = new Command("freshness")
    .description("how far behind, how silent and how old sources and views are, and whether that is as promised")
    .addOption(
      new Option("--oldest <number>", "name so many of each view's entities whose last event is the longest ago")
        .default(0)
        .argParser(parseCount),
    )
    .addOption(new Option("--url <address>", "ask a running server instead of the owner of the data folder"))
    .action(async (options: FreshnessCommandOptions) => {
      const { oldest, url } = options;
      const report =
        url === undefined
          ? await asOwner(options, "own", {}, { work: "freshness", asked: { oldest } }, (platform) =>
              platform.freshness({ oldest }),
            )
          : ((await callServer(url, "GET", `/freshness?oldest=${oldest}`)) as unknown as FreshnessReport);
      createOutput(options.json === true).result({ ...report }, () => formatReport(report));
    });
  return withStandardOptions(command);
}

function formatReport({ sources, views }: FreshnessReport): string {
  if (sources.length === 0) return "there is no source";
  return [
    formatTable(["source", "silent for", "promised", "broken"], sources.map(sourceRow)),
    "",
    formatTable(
      ["view", "behind by", "promised", "broken", "entities", "older than", "share", "promised", "broken", "serves"],
      views.map(viewRow),
    ),
    ...views.flatMap(oldestText),
  ].join("\n");
}

function sourceRow({
  source,
  last_event_at: last,
  silence_seconds: seconds,
  silence_sla_seconds: sla,
}: SourceFreshness) {
  const silent = secondsText(seconds);
  return [source, last === null ? `${silent}, no event yet` : silent, ...promisedCells(sla, secondsText)];
}

function viewRow(view: ViewFreshness): string[] {
  const { stale_ratio: stale, older_than_seconds: olderThan, entities, fallback } = view;
  return [
    view.view,
    secondsText(view.pipeline_age_seconds),
    ...promisedCells(view.pipeline_age_sla_seconds, secondsText),
    entities === null ? "-" : formatCount(entities),
    olderThan === null ? "-" : secondsText(olderThan),
    stale === null ? "-" : percentText(stale),
    ...promisedCells(view.stale_ratio_sla, percentText),
    fallback.serving ? `${fallback.declared}, not its values` : "its values",
  ];
}

function promisedCells(promised: Promised | null, text: (value: number) => string): string[] {
  if (promised === null) return ["-", "-"];
  const { threshold, broken, broken_since: since, broken_ratio_24h: ratio } = promised;
  const share = ratio === 0 ? "" : `, ${percentText(ratio)} of 24h`;
  return [`at most ${text(threshold)}`, `${broken ? `since ${since}` : "no"}${share}`];
}

function oldestText({ view, oldest_entities: entities }: ViewFreshness): string[] {
  if (entities === undefined) return [];
  const rows = entities.map(({ key, last_event_at: at, age_seconds: age }) => [key, at, secondsText(age)]);
  return ["", formatTable([`oldest of ${view}`, "last event", "age"], rows)];
}

function percentText(ratio: number): string {
  return `${(100 * ratio).toFixed(2)}%`;
}
