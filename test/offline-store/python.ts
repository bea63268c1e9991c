/** Readers of tables that are Python's: run on a script and a folder, they print one JSON object. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * A Python that has these packages: the one named by ONEFOLD_PYTHON, or the machine's. Without one, says on stderr what is
 * not checked.
 */
export async function findPython(packages: string): Promise<string | null> {
  for (const python of [process.env["ONEFOLD_PYTHON"], "python3", "python"]) {
    if (python === undefined) continue;
    const works = await run(python, ["-c", `import ${packages}`]).then(
      () => true,
      () => false,
    );
    if (works) return python;
  }
  process.stderr.write(
    `\n*** NOT CHECKED: no python3 with the packages ${packages}; set ONEFOLD_PYTHON.\n` +
      "*** Whether this engine can read the offline tables was not tested in this run.\n\n",
  );
  return null;
}

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
