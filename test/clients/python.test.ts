/**
 * The Python client's own tests, against a server that they start, where a Python with its packages is at hand. Each
 * function of theirs counts as a test here. Never skipped in CI, which installs the packages.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath } from "../cli/run-cli.ts";
import { pythonWith } from "./python-at-hand.ts";

const client = fileURLToPath(new URL("../../clients/python", import.meta.url));
const python = pythonWith(["httpx", "pandas", "pyarrow", "tqdm", "pytest", "mypy"]);

const tests = readdirSync(join(client, "tests"))
  .filter((name) => /^test_.*\.py$/.test(name))
  .flatMap((file) =>
    Array.from(readFileSync(join(client, "tests", file), "utf8").matchAll(/^def (test_\w+)/gm), ([, name]) => ({
      module: file.replace(/\.py$/, ""),
      name: name!,
    })),
  );

it("the Python client has the version of the package", () => {
  const project = readFileSync(join(client, "pyproject.toml"), "utf8");
  const manifest = readFileSync(join(client, "..", "..", "package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  expect(/^version = "(.*)"$/m.exec(project)![1]).toBe(version);
  expect(readFileSync(join(client, "src", "onefold", "__init__.py"), "utf8")).toContain(`__version__ = "${version}"`);
});

describe.skipIf(python === undefined && process.env["CI"] === undefined)("the Python client", () => {
  const folder = mkdtempSync(join(tmpdir(), "onefold-python-"));
  let output = "";
  let report = "";
  beforeAll(async () => {
    const args = [
      "-m",
      "pytest",
      "-q",
      `--junitxml=${join(folder, "report.xml")}`,
      `--basetemp=${join(folder, "tmp")}`,
    ];
    output = await run(args);
    report = readFileSync(join(folder, "report.xml"), "utf8");
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function run(args: readonly string[]): Promise<string> {
    const env = { ...process.env, ONEFOLD_CLI: cliPath, ONEFOLD_NODE: process.execPath, PYTHONDONTWRITEBYTECODE: "1" };
    const options = { cwd: client, env, maxBuffer: 1 << 26 };
    const { stdout } = await promisify(execFile)(python ?? "python3", [...args], options).catch(
      (error: { stdout?: string; message: string }) => ({ stdout: error.stdout || error.message }),
    );
    return stdout;
  }

  it.each(tests)("$module: $name", ({ module, name }) => {
    const found = new RegExp(
      `<testcase classname="[^"]*${module}" name="${name}"[^>]*?(/>|>([\\s\\S]*?)</testcase>)`,
    ).exec(report);
    expect(found, output).not.toBeNull();
    expect(found![2] ?? "").not.toMatch(/<(failure|error|skipped)/);
  });

  it("is typed, by mypy's strict rules", async () => {
    expect(await run(["-m", "mypy", "--cache-dir", join(folder, "mypy")])).toMatch(/^Success: no issues/m);
  }, 240_000);
});
