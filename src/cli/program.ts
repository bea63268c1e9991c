/**
 * The command line as a whole. Each command is thin: it turns options into a call of the platform and
 * prints what comes back.
 */
import { Command, CommanderError } from "commander";
import { asOnefoldError, isOnefoldError, OnefoldError } from "../base/errors.ts";
import { packageVersion } from "../base/version.ts";
import { OutputClosed } from "./closed-output.ts";
import { alertsCommand } from "./commands/alerts.ts";
import { aliasesCommand, promoteCommand, rollbackCommand } from "./commands/aliases.ts";
import { applyCommand } from "./commands/apply.ts";
import { auditCommand } from "./commands/audit.ts";
import { backfillCommand } from "./commands/backfill.ts";
import { deadLettersCommand } from "./commands/dead-letters.ts";
import { correctCommand, retractCommand } from "./commands/correct.ts";
import { describeCommand } from "./commands/describe.ts";
import { devCommand } from "./commands/dev.ts";
import { driftCommand } from "./commands/drift.ts";
import { dropCommand } from "./commands/drop.ts";
import { experimentsCommand } from "./commands/experiments.ts";
import { exportCommand } from "./commands/export.ts";
import { explainCommand } from "./commands/explain.ts";
import { featuresCommand } from "./commands/features.ts";
import { fitCommand } from "./commands/fit.ts";
import { forgetCommand } from "./commands/forget.ts";
import { freshnessCommand } from "./commands/freshness.ts";
import { getCommand } from "./commands/get.ts";
import { ingestCommand } from "./commands/ingest.ts";
import { initCommand } from "./commands/init.ts";
import { lineageCommand } from "./commands/lineage.ts";
import { entitiesCommand, servicesCommand, viewsCommand } from "./commands/list.ts";
import { materializeCommand } from "./commands/materialize.ts";
import { planCommand } from "./commands/plan.ts";
import { previewCommand } from "./commands/preview.ts";
import { qualityCommand } from "./commands/quality.ts";
import { retireCommand } from "./commands/retire.ts";
import { runCommand, runsCommand } from "./commands/run.ts";
import { serveCommand } from "./commands/serve.ts";
import { serveWorkerCommand } from "./commands/serve-worker.ts";
import { sourcesCommand } from "./commands/sources.ts";
import { tablesCommand } from "./commands/tables.ts";
import { testCommand } from "./commands/test.ts";
import { trainCommand } from "./commands/train.ts";
import { trainJobCommand } from "./commands/train-job.ts";
import { workerCommand } from "./commands/worker.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { printError } from "./output.ts";

function onefold(): Command {
  const program = new Command("onefold")
    .description("Real-time feature platform: define features, feed events, read vectors, build training sets.")
    .version(packageVersion())
    .showSuggestionAfterError()
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 definitions refused or changed, 4 audit found mismatches, or quality --check what is not as expected, 5 plan --detailed-exitcode found changes.",
    );

  for (const command of [
    initCommand(),
    planCommand(),
    applyCommand(),
    promoteCommand(),
    rollbackCommand(),
    aliasesCommand(),
    retireCommand(),
    ingestCommand(),
    correctCommand(),
    retractCommand(),
    forgetCommand(),
    runCommand(),
    runsCommand(),
    serveCommand(),
    workerCommand(),
    getCommand(),
    exportCommand(),
    previewCommand(),
    devCommand(),
    dropCommand(),
    explainCommand(),
    testCommand(),
    fitCommand(),
    trainCommand(),
    backfillCommand(),
    materializeCommand(),
    auditCommand(),
    qualityCommand(),
    driftCommand(),
    freshnessCommand(),
    featuresCommand(),
    viewsCommand(),
    servicesCommand(),
    sourcesCommand(),
    entitiesCommand(),
    describeCommand(),
    lineageCommand(),
    tablesCommand(),
    deadLettersCommand(),
    alertsCommand(),
    experimentsCommand(),
  ]) {
    program.addCommand(command);
  }

  program.addCommand(serveWorkerCommand(), { hidden: true });
  program.addCommand(trainJobCommand(), { hidden: true });
  return program;
}

/** Applies to subcommands as well: they exit through `run`, never by themselves. */
function throwInsteadOfExiting(command: Command): void {
  command.exitOverride();
  requireOptionsLast(command);
  for (const subcommand of command.commands) throwInsteadOfExiting(subcommand);
}

/** Commander looks for options that are required before unknown ones: of a misspelt one it would say that it is missing. */
function requireOptionsLast(command: Command): void {
  const required = command.options.filter((option) => option.mandatory);
  for (const option of required) option.makeOptionMandatory(false);
  command.hook("preAction", () => {
    const missing = required.find((option) => command.getOptionValue(option.attributeName()) === undefined);
    if (missing !== undefined) command.error(`error: required option '${missing.flags}' not specified`);
  });
}

/** Of the data folder that a server owns, where the command can ask that. */
function withUrlHint(error: unknown, program: Command, argv: readonly string[]): unknown {
  if (!isOnefoldError(error) || error.code !== "STORAGE_LOCKED") return error;
  let command = program;
  for (const name of argv.slice(2)) command = command.commands.find((one) => one.name() === name) ?? command;
  if (!command.options.some(({ long }) => long === "--url")) return error;
  const { code, message, where, hint, candidates } = error;
  const ask = "to ask a server that owns it: --url http://HOST:PORT";
  return new OnefoldError(code, message, {
    cause: error,
    hint: hint === undefined ? ask : `${hint}; ${ask}`,
    ...(where === undefined ? {} : { where }),
    ...(candidates === undefined ? {} : { candidates }),
  });
}

/** Runs the command that `argv`, as of a process, names; gives the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const program = onefold();
  throwInsteadOfExiting(program);
  try {
    await program.parseAsync([...argv]);
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.ok;
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.ok;
    // Help and version also arrive here, with exit code 0; their text is already printed.
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // The text is on stderr already; whoever reads JSON reads stdout.
      if (argv.includes("--json"))
        printError(new OnefoldError("REQUEST_INVALID", error.message), { json: true, debug: false });
      return EXIT.usage;
    }
    printError(withUrlHint(error, program, argv), { json: argv.includes("--json"), debug: argv.includes("--debug") });
    return exitCodeOf(asOnefoldError(error).code);
  }
}
