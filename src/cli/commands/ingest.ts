/**
 * `onefold ingest`: a file as history in front of the live log, or (`--live`, `--url`) as events of now.
 */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { Registry } from "../../registry/registry.ts";
import { formatType, namesOf } from "../../schema/value.ts";
import { callServer } from "../http-call.ts";
import { interruptible } from "../interrupt.ts";
import { EXIT } from "../exit-codes.ts";
import { collect, collectPair } from "../option-values.ts";
import { createOutput, type Output } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";

interface IngestOptions extends StandardOptions {
  readonly source: string;
  readonly knownTime?: string;
  readonly map?: Readonly<Record<string, string>>;
  readonly passOver?: readonly string[];
  readonly again?: true;
  readonly live?: true;
  readonly url?: string;
}

interface PushCounts {
  accepted: number;
  duplicates: number;
  rejected: number;
}

type Push = (rows: readonly unknown[]) => Promise<Readonly<PushCounts>>;

/** Rows a request: a server's back-pressure is felt soon, and its body limit is far. */
const ROWS_PER_PUSH = 500;
const MILLIS_BETWEEN_RETRIES = 500;
const RETRIES_MAX = 120;

export function ingestCommand(): Command {
  const command = new Command("ingest")
    .description("take in events from Parquet, CSV or NDJSON files")
    .argument("<file...>", "files")
    .requiredOption("--source <name>", "the source the rows belong to")
    .addOption(
      new Option(
        "--known-time <column>",
        "column that says when each row was known (default: its event time)",
      ).conflicts(["live", "url"]),
    )
    .addOption(
      new Option("--map <column=file_column>", "file column of a source's column, where the names differ")
        .argParser(collectPair)
        .conflicts(["live", "url"]),
    )
    .addOption(
      new Option(
        "--pass-over <column>",
        "file column that is not read, though it is called nearly as one that the file lacks",
      )
        .argParser(collect)
        .conflicts(["live", "url"]),
    )
    .addOption(
      new Option("--again", "import a file that was imported before, though its rows have no id").conflicts([
        "live",
        "url",
      ]),
    )
    .addOption(new Option("--live", "append the rows as events known now, not as history"))
    .addOption(new Option("--url <address>", "push the rows to a running server"))
    .action(async (files: string[], options: IngestOptions) => {
      const output = createOutput(options.json === true);
      if (options.url !== undefined) {
        const server = options.url;
        const columns = await columnsOnServer(server, options.source);
        await pushFiles(files, columns, options, output, (rows) => pushToServer(server, options.source, rows));
      } else if (options.live === true) {
        await withPlatform(options, "own", (platform) =>
          pushFiles(files, columnsRegistered(platform.registry, options.source), options, output, (rows) =>
            platform.push(options.source, rows),
          ),
        );
      } else {
        await importFiles(files, options, output);
      }
    });
  return withStandardOptions(command);
}

async function importFiles(files: readonly string[], options: IngestOptions, output: Output): Promise<void> {
  const report = await output.withProgress("import", (onProgress) =>
    withPlatform(options, "own", (platform) =>
      interruptible((signal) =>
        platform.importHistory(options.source, files, {
          ...(options.knownTime === undefined ? {} : { knownTimeColumn: options.knownTime }),
          again: options.again === true,
          ...(options.map === undefined ? {} : { columnMap: options.map }),
          ...(options.passOver === undefined ? {} : { passOver: options.passOver }),
          onProgress,
          signal,
        }),
      ),
    ),
  );
  const epoch = report.epochOpened ? `\nopened epoch ${report.epoch}: the views were rebuilt` : "";
  failIfNothing(report);
  const { ignoredColumns: passed, absentColumns: absent } = report;
  if (passed.length > 0) output.note(`passed over: ${passed.join(", ")}`);
  if (absent.length > 0) output.note(`not in ${files.length > 1 ? "every" : "the"} file, null: ${absent.join(", ")}`);
  output.result(report, () => `${formatCounts(report)}${epoch}${rejectedHint(report.rejected, options)}`);
}

async function pushFiles(
  files: readonly string[],
  columns: ColumnTypes,
  options: IngestOptions,
  output: Output,
  push: Push,
): Promise<void> {
  const { readRows } = await import("../../platform.ts");
  const counts: PushCounts = { accepted: 0, duplicates: 0, rejected: 0 };
  await output.withProgress("push", (onProgress) =>
    interruptible(async (signal) => {
      for (const file of files) {
        for await (const rows of readRows(file, columns, ROWS_PER_PUSH)) {
          if (signal.aborted) throw new OnefoldError("CANCELLED", `stopped after ${formatCounts(counts)}`);
          const answer = await withRetries(() => push(rows));
          counts.accepted += answer.accepted;
          counts.duplicates += answer.duplicates;
          counts.rejected += answer.rejected;
          onProgress({ phase: file, done: counts.accepted + counts.duplicates + counts.rejected, total: null });
        }
      }
    }),
  );
  failIfNothing(counts);
  output.result(counts, () => `${formatCounts(counts)}${rejectedHint(counts.rejected, options)}`);
}

/** Waits while the platform says that rows come too fast. */
async function withRetries<T>(push: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await push();
    } catch (error) {
      const isTooFast = error instanceof OnefoldError && error.code === "BACKPRESSURE";
      if (!isTooFast || attempt === RETRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, MILLIS_BETWEEN_RETRIES));
    }
  }
}

async function pushToServer(url: string, source: string, rows: readonly unknown[]): Promise<Readonly<PushCounts>> {
  // Where every row is refused the answer is 422, and says so row by row.
  const answer = await callServer(url, "POST", `/events/${encodeURIComponent(source)}`, rows, [422]);
  return answer as unknown as PushCounts;
}

/** A source's columns, by all names that they are taken under, with their types as text. */
type ColumnTypes = readonly { readonly name: string; readonly type: string }[];

async function columnsOnServer(url: string, source: string): Promise<ColumnTypes> {
  const answer = await callServer(url, "GET", `/registry/sources/${encodeURIComponent(source)}`);
  const columns = answer["columns"] as (ColumnTypes[number] & { readonly former_names?: readonly string[] })[];
  return columns.flatMap(({ name, type, former_names = [] }) =>
    [name, ...former_names].map((one) => ({ name: one, type })),
  );
}

function columnsRegistered(registry: Registry, source: string): ColumnTypes {
  const { columns } = registry.source(source).definition;
  return columns.flatMap((column) => namesOf(column).map((name) => ({ name, type: formatType(column.type) })));
}

function formatCounts(counts: Readonly<PushCounts>): string {
  return `${formatCount(counts.accepted)} accepted, ${formatCount(counts.duplicates)} duplicates, ${formatCount(counts.rejected)} rejected`;
}

/** Nothing got in though there was something: a script must notice. */
function failIfNothing({ accepted, duplicates, rejected }: Readonly<PushCounts>): void {
  if (accepted === 0 && duplicates === 0 && rejected > 0) process.exitCode = EXIT.failed;
}

function rejectedHint(rejected: number, options: IngestOptions): string {
  return rejected === 0 ? "" : `\nwhy: onefold dead-letters list --source ${options.source}`;
}
