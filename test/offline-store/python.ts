/** Readers of tables that are Python's: run on a script and a folder, they print one JSON object. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export async function runPython(
  python: string,
  script: string,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  // Threads of the libraries may still run when the interpreter takes itself down: it ends at once instead.
  const ending = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n";
  const { stdout } = await run(python, ["-c", script + ending, folder], {
    env: { ...process.env, ...environment },
    maxBuffer: 1 << 26,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}
