/** Runs the built command line as its users do: as a child process. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const cliPath: string = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(args: readonly string[], cwd: string): Promise<CliResult> {
  if (!existsSync(cliPath)) throw new Error("dist/ is not built: run `npm run build`");
  const child = spawn(process.execPath, [cliPath, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  return { exitCode, stdout, stderr };
}

/** Runs with `--json`; stdout must be exactly one JSON object on one line. */
export async function runJson(
  args: readonly string[],
  cwd: string,
): Promise<{ readonly exitCode: number | null; readonly result: Record<string, any> }> {
  const { exitCode, stdout, stderr } = await runCli([...args, "--json"], cwd);
  const lines = stdout.trimEnd().split("\n");
  if (lines.length !== 1) throw new Error(`expected one line on stdout, got:\n${stdout}\n${stderr}`);
  return { exitCode, result: JSON.parse(lines[0]!) };
}
