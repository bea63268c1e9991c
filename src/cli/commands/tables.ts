/** `onefold tables [history | files | compact | vacuum]`: the offline tables, what they hold, and their upkeep. */
import { Command, Option } from "commander";
import { parseDuration } from "../../base/micros.ts";
import type { TableDesk, TableMoment, TableSummary } from "../../platform/table-desk.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { parseCount, parseTime } from "../option-values.ts";
import { createOutput, type Output } from "../output.ts";
import { formatCount } from "../progress.ts";
import { type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

type TablesOptions = StandardOptions & WorkerTableOptions;

export function tablesCommand(): Command {
  const command = new Command("tables")
    .description("list the offline tables, and look after them")
    .action(async (options: TablesOptions) => {
      const tables = await withTables(options, (desk) => desk.list());
      createOutput(options.json === true).result(
        {
          tables: tables.map(({ firstTime, lastTime, refused, ...table }) => ({
            ...table,
            first_time: timeText(firstTime),
            last_time: timeText(lastTime),
            ...(refused === null ? {} : { refused: refused.toJSON() }),
          })),
        },
        () =>
          `${formatTable(
            ["table", "version", "rows", "bytes", "files", "first", "last"],
            tables.map(({ table, version, rows, bytes, files, firstTime, lastTime }) => [
              table,
              version === null ? "-" : String(version),
              formatCount(rows),
              formatCount(bytes),
              String(files),
              timeText(firstTime) ?? "-",
              timeText(lastTime) ?? "-",
            ]),
          )}${tables.map(refusedText).join("")}`,
      );
    });
  for (const subcommand of [historyCommand(), filesCommand(), compactCommand(), vacuumCommand()]) {
    command.addCommand(subcommand);
  }
  return withTableOptions(command);
}

/** What is wrong with it, below the list; nothing of a table that is whole. */
function refusedText({ table, refused }: TableSummary): string {
  if (refused === null) return "";
  const { message, where, hint } = refused;
  return `\n\n${[`${table} is refused: ${message}`, where, hint].filter((line) => line !== undefined).join("\n  ")}`;
}

function historyCommand(): Command {
  const command = new Command("history")
    .description("what each version of a table did, the newest first")
    .argument("<table>", "its name, as onefold tables lists it")
    .addOption(new Option("--limit <count>", "how many versions").argParser(parseCount).default(20))
    .action(async (name: string, own: { readonly limit: number }, command: Command) => {
      const options = { ...own, ...command.optsWithGlobals<TablesOptions>() };
      const versions = await withTables(options, (desk) => desk.history(name, own.limit));
      const rows = versions.map(({ version, committedAt, operation, filesAdded, filesRemoved, rowsAdded }) => ({
        version,
        committed_at: timeText(committedAt),
        operation,
        files_added: filesAdded,
        files_removed: filesRemoved,
        rows_added: rowsAdded,
      }));
      createOutput(options.json === true).result({ table: name, versions: rows }, () =>
        formatTable(
          ["version", "committed at", "operation", "files added", "files removed", "rows added"],
          rows.map((row) => [
            String(row.version),
            row.committed_at ?? "-",
            row.operation ?? "-",
            String(row.files_added),
            String(row.files_removed),
            formatCount(row.rows_added),
          ]),
        ),
      );
    });
  return withTableOptions(command);
}

interface FilesOptions extends TablesOptions {
  readonly at?: TableMoment;
}

function filesCommand(): Command {
  const command = new Command("files")
    .description("the Parquet files that a version of a table consists of, for engines that read those alone")
    .argument("<table>", "its name, as onefold tables lists it")
    .addOption(
      new Option("--at <version-or-time>", "as of this version, or the newest one committed by this time").argParser(
        parseMoment,
      ),
    )
    .action(async (name: string, _own: object, command: Command) => {
      const options = command.optsWithGlobals<FilesOptions>();
      const { version, files } = await withTables(options, (desk) => desk.files(name, options.at));
      createOutput(options.json === true).result(
        {
          table: name,
          version,
          files: files.map(({ path, rows, bytes, partition }) => ({ path, rows, bytes, partition })),
        },
        () => files.map(({ path }) => path).join("\n"),
      );
    });
  return withTableOptions(command);
}

function compactCommand(): Command {
  const command = new Command("compact")
    .description("join small files; works beside a running server")
    .argument("[table]", "its name; default: all tables")
    .action(async (name: string | undefined, _own: object, command: Command) => {
      const options = command.optsWithGlobals<TablesOptions>();
      const output = createOutput(options.json === true);
      const reports = await eachTable(options, output, "compact", name, (desk, each) => desk.compact(each));
      output.result(
        {
          tables: reports.map(({ table, version, filesBefore, filesAfter }) => ({
            table,
            version,
            files_before: filesBefore,
            files_after: filesAfter,
          })),
        },
        () =>
          formatTable(
            ["table", "version", "files before", "files after"],
            reports.map((each) => [
              each.table,
              String(each.version),
              String(each.filesBefore),
              String(each.filesAfter),
            ]),
          ),
      );
    });
  return withTableOptions(command);
}

interface VacuumOptions extends TablesOptions {
  readonly keep: string;
  readonly dryRun?: true;
  readonly force?: true;
}

function vacuumCommand(): Command {
  const command = new Command("vacuum")
    .description("delete files that left a table, and what writers that crashed left behind")
    .argument("[table]", "its name; default: all tables")
    .addOption(new Option("--keep <duration>", "what left the table less long ago stays").default("7d"))
    .option("--dry-run", "say what would be deleted, and delete nothing")
    .option("--force", "allow --keep below 24h: what reads the table now may fail")
    .action(async (name: string | undefined, _own: object, command: Command) => {
      const options = command.optsWithGlobals<VacuumOptions>();
      const { dryRun = false, force = false } = options;
      const keptMillis = options.keep === "0" ? 0 : Math.ceil(parseDuration(options.keep) / 1000);
      const output = createOutput(options.json === true);
      const reports = await eachTable(options, output, "vacuum", name, (desk, each) =>
        desk.vacuum(each, { keptMillis, dryRun, force }),
      );
      output.result(
        {
          dry_run: dryRun,
          tables: reports.map(({ table, files, bytes, logFiles }) => ({ table, files, bytes, log_files: logFiles })),
        },
        () =>
          formatTable(
            ["table", dryRun ? "files to delete" : "files deleted", "log files", "bytes"],
            reports.map(({ table, files, bytes, logFiles }) => [
              table,
              String(files.length),
              String(logFiles),
              formatCount(bytes),
            ]),
          ),
      );
    });
  return withTableOptions(command);
}

function parseMoment(text: string): TableMoment {
  return /^\d+$/.test(text) ? { version: Number(text) } : { committedBy: parseTime(text) };
}

function withTableOptions(command: Command): Command {
  return withStandardOptions(withWorkerTableOptions(command));
}

function withTables<T>(options: TablesOptions, work: (desk: TableDesk) => Promise<T>): Promise<T> {
  // Workers' tables may lie where there is no data folder.
  const access = options.archive === undefined ? "read" : "read-or-empty";
  return withPlatformOf(options, access, workerTablesOf(options), (platform) => work(platform.tables));
}

function eachTable<T>(
  options: TablesOptions,
  output: Output,
  what: string,
  name: string | undefined,
  work: (desk: TableDesk, name: string) => Promise<T>,
): Promise<T[]> {
  return output.withProgress(what, (onProgress) =>
    withTables(options, async (desk) => {
      const names = await desk.named(name);
      const results: T[] = [];
      for (const each of names) {
        onProgress({ phase: "tables", done: results.length, total: names.length });
        results.push(await work(desk, each));
      }
      return results;
    }),
  );
}
