/** `onefold audit --served FILE`: a serving log of the user's own, held against us. */
import { type Command, Option } from "commander";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { Platform } from "../platform.ts";
import { EXIT } from "./exit-codes.ts";
import { interruptible } from "./interrupt.ts";
import { type WorkerTableOptions, workerTablesOf } from "./kafka-options.ts";
import { collectPair, parseShare } from "./option-values.ts";
import { createOutput } from "./output.ts";
import { formatCount } from "./progress.ts";
import { type StandardOptions, withPlatformOf } from "./standard-options.ts";
import { formatCell, formatTable } from "./table.ts";

export interface ServedFileOptions extends StandardOptions, WorkerTableOptions {
  readonly served?: string;
  readonly service?: string;
  readonly timeColumn?: string;
  readonly tokenColumn?: string;
  readonly key?: Readonly<Record<string, string>>;
  readonly feature?: Readonly<Record<string, string>>;
  readonly tolerance?: number;
}

export function withServedFileOptions(command: Command): Command {
  return command
    .option("--served <file>", "compare a serving log of your own instead: a Parquet file of keys, times and values")
    .option("--service <name>", "with --served: the service that the values are of")
    .option("--time-column <name>", "with --served: its column with the time of serving (default: as in train)")
    .option("--token-column <name>", "with --served: its column with our tokens: compare as served, lag and all")
    .addOption(
      new Option("--key <entity=columns>", "with --served: columns that hold an entity's key").argParser(collectPair),
    )
    .addOption(
      new Option(
        "--feature <feature=column>",
        "with --served: the column of a feature, where it is named otherwise",
      ).argParser(collectPair),
    )
    .addOption(
      new Option("--tolerance <share>", "with --served: numbers that differ by no more than this part are the same")
        .argParser(parseShare)
        .default(undefined, "0, to the bit"),
    );
}

export async function auditServedFile(options: ServedFileOptions & { readonly served: string }): Promise<void> {
  const { served: path, service, timeColumn, tokenColumn, key, feature, tolerance } = options;
  if (service === undefined) {
    throw new OnefoldError("REQUEST_INVALID", "--served needs the service that the values are of", {
      hint: "add --service NAME",
    });
  }
  const keyColumns = Object.fromEntries(
    Object.entries(key ?? {}).map(([entity, columns]) => [entity, columns.split(",")]),
  );
  const output = createOutput(options.json === true);
  const report = await output.withProgress("audit", (onProgress) =>
    withPlatformOf(options, "own-or-read", workerTablesOf(options), (platform) =>
      interruptible((signal) =>
        platform.checks.skew.servedFile({
          path,
          service,
          signal,
          onProgress: ({ phase, done, total }) => onProgress({ phase, done, total }),
          ...(timeColumn === undefined ? {} : { timeColumn }),
          ...(tokenColumn === undefined ? {} : { tokenColumn }),
          ...(key === undefined ? {} : { keyColumns }),
          ...(feature === undefined ? {} : { featureColumns: feature }),
          ...(tolerance === undefined ? {} : { tolerance }),
        }),
      ),
    ),
  );
  output.result(report, () => formatReport(report));
  if (!report.clean) process.exitCode = EXIT.mismatch;
}

type Report = Awaited<ReturnType<Platform["checks"]["skew"]["servedFile"]>>;

function formatReport({ rows, compared, pendingRows, notInFile, skew, mismatched, missing, extra }: Report): string {
  const differing = skew.filter((one) => one.mismatched + one.missing + one.extra > 0);
  const lines = [
    `${formatCount(rows)} rows: ${formatCount(compared)} values compared, ${formatCount(mismatched)} mismatched, ${formatCount(missing)} missing, ${formatCount(extra)} too much`,
  ];
  if (notInFile.length > 0) lines.push(`the file has no column of ${notInFile.join(", ")}`);
  if (pendingRows > 0)
    lines.push(`${formatCount(pendingRows)} rows are of a time behind the last event that is archived`);
  if (differing.length === 0) return lines.join("\n");
  const number = (value: number | undefined): string =>
    value === undefined ? "-" : String(Number(value.toPrecision(6)));
  lines.push(
    formatTable(
      ["feature", "compared", "mismatched", "missing", "too much", "difference p05", "p50", "p95"],
      differing.map((one) => [
        one.feature,
        formatCount(one.compared),
        formatCount(one.mismatched),
        formatCount(one.missing),
        formatCount(one.extra),
        number(one.differences?.p05),
        number(one.differences?.p50),
        number(one.differences?.p95),
      ]),
    ),
  );
  for (const { feature, examples } of differing) {
    for (const { entity, as_of_micros: asOf, served, recomputed } of examples.slice(0, 3)) {
      const when = Number.isFinite(asOf) ? ` as of ${formatMicros(asOf as Micros)}` : "";
      lines.push(
        `! ${feature} of ${JSON.stringify(entity)}${when}: served ${formatCell(served)}, computed ${formatCell(recomputed)}`,
      );
    }
  }
  return lines.join("\n");
}
