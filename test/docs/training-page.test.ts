/** The commands of docs/training.md, run as they stand in the project that `onefold init` writes. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mostlyHere } from "../cli/run-here.ts";

const { runCli } = mostlyHere();

const page = readFileSync(new URL("../../docs/training.md", import.meta.url), "utf8");
const folder = mkdtempSync(join(tmpdir(), "onefold-training-docs-"));
const project = join(folder, "shop");
const commands = [...page.matchAll(/^ {4}onefold (train .*)$/gm)].map(([, command]) => command!);

beforeAll(async () => {
  await runCli(["init", "shop"], folder);
  const [churn] = /^export const churn = .*$/m.exec(page.replace(/^ {4}/gm, ""))!;
  appendFileSync(join(project, "features.ts"), `\n${churn}\n`);
  writeFileSync(join(project, "users.csv"), "user_id\nada\nben\n");
  await runCli(["apply"], project);
  await runCli(["ingest", "events.ndjson", "--source", "payments"], project);
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docs/training.md", () => {
  it.each(commands)("onefold %s", { timeout: 240_000 }, async (command) => {
    const { exitCode, stdout, stderr } = await runCli(command.split(" "), project);
    expect([exitCode, stderr.replace(/^train: .*\n/gm, "")]).toEqual([0, ""]);
    expect(stdout).toMatch(/\d+ (rows, \d+ features: |of \d+ label rows)/);
    const out = / --out (\S+)/.exec(command)?.[1];
    if (out !== undefined) expect(existsSync(join(project, `${out}.manifest.json`))).toBe(true);
  });

  it("has commands of each of its parts", () => {
    expect(commands.length).toBeGreaterThanOrEqual(5);
    for (const option of ["--service churn", "--explain-leakage", "--entities all", "--entities users.csv"]) {
      expect(commands.some((command) => command.includes(option))).toBe(true);
    }
  });
});
