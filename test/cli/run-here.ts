/**
 * Runs the command line in this process: the very program, evaluated anew, with its arguments, working directory, output and
 * exit code. A process takes a second to load what is loaded here once. What only a process shows (that it ends by itself,
 * signals, several at a time, the built files) is tested with `runCli`, of each command at least once.
 */
import { fileURLToPath } from "node:url";
import { type CliResult, runCli, runJson } from "./run-cli.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

let runs = 0;
let last: Promise<unknown> = Promise.resolve();

/** One after the other, as there is one working directory and one output. */
export function runHere(args: readonly string[], cwd: string): Promise<CliResult> {
  const run = last.then(() => runAlone(args, cwd));
  last = run.catch(() => undefined);
  return run;
}

/** Runs with `--json`; stdout must be exactly one JSON object on one line. */
export async function runJsonHere(
  args: readonly string[],
  cwd: string,
): Promise<{ readonly exitCode: number | null; readonly result: Record<string, any> }> {
  const { exitCode, stdout, stderr } = await runHere([...args, "--json"], cwd);
  const lines = stdout.trimEnd().split("\n");
  if (lines.length !== 1) throw new Error(`expected one line on stdout, got:\n${stdout}\n${stderr}`);
  return { exitCode, result: JSON.parse(lines[0]!) };
}

/** Of each command the first run is a process of its own, of what is built; the others are run here. */
export function mostlyHere(): { readonly runCli: typeof runCli; readonly runJson: typeof runJson } {
  const seen = new Set<string>();
  const isFirst = ([command = ""]: readonly string[]): boolean => {
    const isNew = !seen.has(command);
    seen.add(command);
    return isNew;
  };
  return {
    runCli: (args, cwd) => (isFirst(args) ? runCli : runHere)(args, cwd),
    runJson: (args, cwd) => (isFirst(args) ? runJson : runJsonHere)(args, cwd),
  };
}

async function runAlone(args: readonly string[], cwd: string): Promise<CliResult> {
  const before = { cwd: process.cwd(), argv: process.argv, exitCode: process.exitCode };
  const [stdout, stderr] = [captured(process.stdout), captured(process.stderr)];
  process.chdir(cwd);
  process.argv = [process.execPath, MAIN, ...args];
  process.exitCode = undefined;
  try {
    // Another address is another module: what it imports is shared, it is not.
    runs += 1;
    await import(/* @vite-ignore */ `${MAIN}?run=${runs}`);
    return { exitCode: Number(process.exitCode ?? 0), stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    stdout.restore();
    stderr.restore();
    process.chdir(before.cwd);
    process.argv = before.argv;
    process.exitCode = before.exitCode;
  }
}

function captured(stream: NodeJS.WriteStream): { text(): string; restore(): void } {
  const { write } = stream;
  let text = "";
  stream.write = (chunk: string | Uint8Array) => {
    text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
    return true;
  };
  return { text: () => text, restore: () => void (stream.write = write) };
}
