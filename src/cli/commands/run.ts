/** `onefold run` and `onefold runs`: reading a batch source now, and how its reading goes. */
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { asOnefoldError } from "../../base/errors.ts";
import { formatMicros, type Micros } from "../../base/micros.ts";
import { type BatchRun, NEVER_READ, readBatchState } from "../../platform/data-folder.ts";
import { EXIT } from "../exit-codes.ts";
import { interruptible } from "../interrupt.ts";
import { parseCount } from "../option-values.ts";
import { createOutput, errorLines } from "../output.ts";
import { dueText } from "../poll-status-text.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

export function runCommand(): Command {
  const command = new Command("run")
    .description("read what a batch source has that is new, here or with the server that owns the data folder")
    .argument("<source>", "the batch source")
    .option("--from <value>", "read on behind this value of its watermark, and not behind the largest that was read")
    .action(async (source: string, options: StandardOptions & { readonly from?: string }) => {
      const output = createOutput(options.json === true);
      const from = options.from === undefined ? {} : { from: options.from };
      const run = await interruptible((signal) =>
        output.withProgress("run", (onProgress) =>
          asOwner(options, "own", {}, { work: "run", asked: { source, ...from }, onProgress, signal }, (platform) =>
            platform.runBatch(source, {
              ...from,
              onProgress: (done) => onProgress({ phase: `rows of ${source}`, done, total: null }),
              signal,
            }),
          ),
        ),
      );
      output.result({ run: answerRun(run) }, () => formatRun(source, run));
    });
  return withStandardOptions(command);
}

interface RunsOptions extends StandardOptions {
  readonly limit: number;
}

export function runsCommand(): Command {
  const command = new Command("runs")
    .description("list how batch sources were read, and when they are read next")
    .argument("[source]", "one batch source (default: all)")
    .addOption(new Option("--limit <number>", "newest runs of each source").default(20).argParser(parseCount))
    .action(async (name: string | undefined, options: RunsOptions) => {
      const sources = await withPlatform(options, "read", async ({ registry, dataDir }) => {
        const found = name === undefined ? registry.sources() : [registry.source(name)];
        return Promise.all(
          found.flatMap(({ definition }) =>
            definition.kind === "batch" ? [sourceRuns(dataDir, definition, options.limit)] : [],
          ),
        );
      });
      createOutput(options.json === true).result({ sources }, () => formatRuns(sources));
      if (sources.some(({ error }) => error !== null)) process.exitCode = EXIT.failed;
    });
  return withStandardOptions(command);
}

type SourceRuns = Awaited<ReturnType<typeof sourceRuns>>;

async function sourceRuns(
  dataDir: string,
  { name, schedule }: { readonly name: string; readonly schedule?: string },
  limit: number,
) {
  const { state, error } = await readBatchState(dataDir, name).then(
    (state) => ({ state, error: null }),
    // The others are shown all the same.
    (thrown: unknown) => ({ state: NEVER_READ, error: asOnefoldError(thrown) }),
  );
  const { runs, failures, nextDueAt, watermark, files } = state;
  return {
    source: name,
    schedule: schedule ?? null,
    error,
    next_due_at: timeText(nextDueAt),
    failures,
    watermark,
    files_read: Object.keys(files).length,
    runs: runs.slice(-limit).toReversed().map(answerRun),
  };
}

function answerRun(run: BatchRun) {
  return {
    id: run.id,
    status: run.status,
    scheduled_for: timeText(run.scheduledFor),
    started_at: timeText(run.startedAt),
    ended_at: timeText(run.endedAt),
    attempts: run.attempts,
    rows: run.rows,
    accepted: run.accepted,
    duplicates: run.duplicates,
    rejected: run.rejected,
    late_rows: run.lateRows,
    late_files: run.lateFiles,
    changed_files: run.changedFiles,
    error: run.error === null ? null : { ...run.error, at: formatMicros(run.error.at as Micros) },
  };
}

function formatRun(source: string, run: BatchRun): string {
  const { rows, accepted, duplicates, rejected, lateRows, lateFiles, changedFiles } = run;
  return [
    `${source}: ${formatCount(rows)} rows read, ${formatCount(accepted)} accepted, ${formatCount(duplicates)} duplicates, ${formatCount(rejected)} rejected`,
    ...(lateRows === 0 ? [] : [`${formatCount(lateRows)} of a time before what was read earlier`]),
    ...lateFiles.map((file) => `late: ${file}`),
    ...changedFiles.map((file) => `changed or rewritten since it was read, and left alone: ${file}`),
  ].join("\n");
}

function formatRuns(sources: readonly SourceRuns[]): string {
  if (sources.length === 0) return "there is no batch source";
  const now = systemClock.now();
  return sources
    .map(({ source, schedule, next_due_at: due, failures, runs, error }) => {
      if (error !== null) return [source, ...errorLines(error)].join("\n");
      const next =
        schedule === null
          ? "no schedule"
          : `${schedule}, next ${due === null ? "when somebody serves" : dueText(due, now)}`;
      const failing = failures === 0 ? "" : `, failed ${failures} times since it succeeded`;
      const table = formatTable(
        ["started", "status", "attempts", "rows", "accepted", "duplicates", "rejected", "late", "error"],
        runs.map((run) => [
          run.started_at ?? "-",
          run.status,
          String(run.attempts),
          formatCount(run.rows),
          formatCount(run.accepted),
          formatCount(run.duplicates),
          formatCount(run.rejected),
          run.late_files.length === 0
            ? formatCount(run.late_rows)
            : `${formatCount(run.late_rows)}, ${run.late_files.length} files`,
          run.error === null ? "-" : `${run.error.code}: ${run.error.message}`,
        ]),
      );
      return `${source} (${next}${failing})\n${runs.length === 0 ? "never read" : table}`;
    })
    .join("\n\n");
}
