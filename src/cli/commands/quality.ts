/** `onefold quality`: whether what comes in and what is computed is as expected, and what columns look like. */
import { Command } from "commander";
import type { Platform } from "../../platform.ts";
import { createOutput } from "../output.ts";
import { EXIT } from "../exit-codes.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";

interface QualityOptions extends StandardOptions, WorkerTableOptions {
  readonly day?: string;
  readonly check?: true;
}

export function qualityCommand(): Command {
  const command = new Command("quality")
    .description("judge what is expected of events and features, and show what columns look like")
    .argument("[name]", "a source, or a view as name or name@version (default: all)")
    .option("--day <day>", "over this day, as 2026-11-26 in UTC (default: up to now)")
    .option("--check", "exit with code 4 where an expectation is not met")
    .action(async (name: string | undefined, options: QualityOptions) => {
      const asked = {
        ...(name === undefined ? {} : { name }),
        ...(options.day === undefined ? {} : { day: options.day }),
      };
      const report = await withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
        platform.checks.quality.report(asked),
      );
      createOutput(options.json === true).result(report, () => formatReport(report));
      if (options.check === true && !report.met) process.exitCode = EXIT.mismatch;
    });
  return withStandardOptions(withWorkerTableOptions(command));
}

type Report = Awaited<ReturnType<Platform["checks"]["quality"]["report"]>>;
type Subject = Report["subjects"][number];

function formatReport({ subjects }: Report): string {
  const parts = subjects.flatMap(formatSubject);
  return parts.length === 0 ? "nothing is expected, and there is no profile of the day" : parts.join("\n\n");
}

function formatSubject({ source, view, expectations, profile, day }: Subject): string[] {
  const title = source === null ? `view ${view}` : `source ${source}`;
  const told = expectations.map((one) => {
    const [mark, verdict] = one.value === null ? ["-", "nothing to judge"] : one.met ? ["ok", ""] : ["!", "not met: "];
    const measured =
      one.value === null
        ? ""
        : one.measure === "events"
          ? `${formatCount(one.value)} events`
          : `${formatCount(one.failing)} of ${formatCount(one.samples)}${one.refused > 0 ? `, ${formatCount(one.refused)} refused` : ""}`;
    const examples = one.met
      ? []
      : one.examples.map(({ value, count }) => `${formatCell(value)} (${formatCount(count)})`);
    return [
      `${mark} ${one.name}: ${one.expected} [${one.severity}] ${verdict}${measured}`,
      ...(examples.length === 0 ? [] : [`    ${examples.join(", ")}`]),
    ].join("\n");
  });
  const table =
    profile === null
      ? []
      : [
          `on ${day}:`,
          formatTable(
            [
              "column",
              "type",
              "count",
              "nulls",
              "mean",
              "stddev",
              "min",
              "p50",
              "p99",
              "max",
              "distinct",
              "most frequent",
            ],
            profile.map((one) => [
              one.column,
              one.type,
              formatCount(one.count),
              formatCount(one.nulls),
              number(one.mean),
              number(one.stddev),
              number(one.min),
              number(one.quantiles?.["p50"] ?? null),
              number(one.quantiles?.["p99"] ?? null),
              number(one.max),
              `${one.distinct_error > 0 ? "~" : ""}${formatCount(one.distinct)}`,
              one.top
                .slice(0, 3)
                .map(({ value, count }) => `${formatCell(value)} (${formatCount(count)})`)
                .join(", "),
            ]),
          ),
        ];
  return told.length + table.length === 0 ? [] : [[title, ...told, ...table].join("\n")];
}

function number(value: number | string | null): string {
  return value === null ? "-" : typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
}
