/** `onefold test`: the project's tests under Node's own test runner, TypeScript or not. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, parse, relative, resolve } from "node:path";
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import { EXIT } from "../exit-codes.ts";
import { createOutput } from "../output.ts";

interface TestOptions {
  readonly name?: string;
  readonly json?: true;
}

export function testCommand(): Command {
  return new Command("test")
    .description("run the project's tests under node --test, without a loader for TypeScript")
    .argument("[files...]", "test files; without, every *.test.ts, .mts, .js and .mjs below this folder")
    .addOption(new Option("--name <pattern>", "only tests whose name matches this regular expression"))
    .addOption(new Option("--json", "print one JSON object on stdout, and nothing else there"))
    .addOption(new Option("--debug", "print the stack of an error"))
    .action(async (named: readonly string[], options: TestOptions) => {
      const files = named.length > 0 ? named.map((file) => resolve(file)) : await testFiles(process.cwd());
      const missing = files.find((file) => !existsSync(file));
      if (missing !== undefined) throw new OnefoldError("FILE_UNREADABLE", "there is no such file", { where: missing });
      if (files.length === 0) {
        throw new OnefoldError("REQUEST_INVALID", "there is no test file below this folder", {
          where: process.cwd(),
          hint: "write features.test.ts: docs/testing.md has an example",
        });
      }
      const exitCode = await runTests(files, options);
      const passed = exitCode === 0;
      if (options.json === true) {
        createOutput(true).result({ passed, files: files.map((file) => relative(process.cwd(), file)) }, () => "");
      }
      if (!passed) process.exitCode = EXIT.failed;
    });
}

async function testFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries
      .filter(({ name }) => name !== "node_modules" && !name.startsWith("."))
      .map(async (entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return testFiles(path);
        return /\.test\.m?[tj]s$/.test(entry.name) ? [path] : [];
      }),
  );
  return found.flat().sort();
}

/** Exit code of the runner. Its output goes to stdout, or with `--json` to stderr. */
async function runTests(files: readonly string[], options: TestOptions): Promise<number> {
  const { bundleTest } = await import("../bundle-test.ts");
  const folder = await mkdtemp(join(tmpdir(), "onefold-tests-"));
  // Ctrl-C reaches the runner by itself; this process stays to remove the folder.
  const wait = (): void => undefined;
  process.on("SIGINT", wait);
  try {
    const bundles = files.map((file, i) => join(folder, String(i), `${parse(file).name}.mjs`));
    await Promise.all(files.map((file, i) => bundleTest(file, bundles[i]!)));
    const pattern = options.name === undefined ? [] : [`--test-name-pattern=${options.name}`];
    // Set where this runs inside another test: the inner runner would take itself for one of its files.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(
      process.execPath,
      ["--enable-source-maps", "--test", "--test-reporter=spec", ...pattern, ...bundles],
      {
        stdio: ["inherit", options.json === true ? process.stderr : "inherit", "inherit"],
        env,
      },
    );
    return await new Promise((done, failed) => {
      child.once("error", failed).once("close", (code) => done(code ?? EXIT.failed));
    });
  } finally {
    process.off("SIGINT", wait);
    await rm(folder, { recursive: true, force: true });
  }
}
