/** Readers that close the pipe before a command has printed all: it ends quietly, and what it writes elsewhere is whole. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cliPath, runCli } from "./run-cli.ts";

const USERS = 20_000;
const folder = mkdtempSync(join(tmpdir(), "onefold-closed-output-"));
const project = join(folder, "shop");

afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  await runCli(["init", "shop"], folder);
  await runCli(["apply"], project);
  await runCli(["ingest", "events.ndjson", "--source", "payments"], project);
  const users = Array.from({ length: USERS }, (_, i) => `user${i}`);
  writeFileSync(join(project, "users.csv"), `user_id\n${users.join("\n")}\n`);
});

const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [cliPath, ...args], { cwd: project, stdio: ["ignore", "pipe", "pipe"] });

/** Both pipes are closed at once, before a process can have printed. */
async function unread(args: readonly string[]): Promise<number> {
  const child = start(args);
  child.stdout!.destroy();
  child.stderr!.destroy();
  const [exitCode] = (await once(child, "exit")) as [number];
  return exitCode;
}

it.each(["--help", "views --json", "describe nothing"])(
  "ends as it would when nobody reads the results of onefold %s",
  async (command) => {
    const args = command.split(" ");
    const { exitCode, stderr } = await runCli(args, project);
    const child = start(args);
    child.stdout!.destroy();
    const printed = text(child.stderr!);
    expect(await once(child, "exit")).toEqual([exitCode, null]);
    expect(await printed).toBe(stderr);
  },
);

it.each(["describe nothing", "features --nonsense"])(
  "ends as it would when nobody reads the errors of onefold %s",
  async (command) => {
    const args = command.split(" ");
    const { exitCode } = await runCli(args, project);
    expect(await unread(args)).toBe(exitCode);
  },
);

it("ends vectors of many entities with their reader", async () => {
  const child = start(["get", "--service", "fraud", "--entities", "users.csv"]);
  const stderr = text(child.stderr!);
  const [first] = (await once(child.stdout!, "data")) as [Buffer];
  child.stdout!.destroy();
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(String(first)).toMatch(/^\{.*\}\n/);
  expect(await stderr).toBe("");
});

it("writes a file of --out to its end though nobody reads what is said of it", async () => {
  const args = ["get", "--service", "fraud", "--entities", "users.csv", "--out", "vectors.csv"];
  expect(await unread(args)).toBe(0);
  expect(readFileSync(join(project, "vectors.csv"), "utf8").trimEnd().split("\n")).toHaveLength(USERS + 1);
});

it("stops watching when nobody reads what it says", async () => {
  const child = start(["dev"]);
  child.stderr!.resume();
  await once(child.stdout!, "data");
  child.stdout!.destroy();
  const ended = once(child, "exit");
  // Its next cycle is the first that finds the reader gone.
  const file = join(project, "features.ts");
  await expect
    .poll(async () => {
      writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
      return child.exitCode;
    })
    .toBe(0);
  await ended;
});
