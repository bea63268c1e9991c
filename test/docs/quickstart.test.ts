/**
 * The commands of docs/quickstart.md, run one block after the other in one shell's folder. A block marked
 * `background` is a server: it runs until the block marked `stop`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath } from "../cli/run-cli.ts";

const page = readFileSync(new URL("../../docs/quickstart.md", import.meta.url), "utf8");
const folder = mkdtempSync(join(tmpdir(), "onefold-quickstart-"));
let project = folder;
let server: ChildProcess | null = null;

interface Block {
  readonly mark: string;
  readonly script: string;
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```sh *(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    mark: match[1]!,
    script: match[2]!,
  }));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** `onefold` on the PATH is a two-line script that runs the built command line. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}` };
}

function shell(script: string, prefix = "set -e"): ChildProcess {
  // `exec` puts the server itself in the shell's place, so that the signal reaches it.
  return spawn("sh", ["-c", `${prefix}\n${script}`], {
    cwd: project,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function runBlock(script: string): Promise<string> {
  const child = shell(`${script}\npwd > ${join(folder, "pwd")}`);
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (text: Buffer) => (output += text.toString()));
  const exitCode = await new Promise((resolve) => child.once("close", resolve));
  expect(exitCode, `${script}\n${output}`).toBe(0);
  project = readFileSync(join(folder, "pwd"), "utf8").trim();
  return output;
}

async function startServer(script: string): Promise<void> {
  const child = shell(`exec ${script}`);
  server = child;
  let output = "";
  await new Promise<void>((resolve, reject) => {
    child.once("close", (code) => reject(new Error(`the server ended with ${code}: ${output}`)));
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (text: Buffer) => {
        output += text.toString();
        if (output.includes("serving on")) resolve();
      });
    }
  });
}

async function stopServer(): Promise<number | null> {
  const child = server;
  if (child === null) return null;
  server = null;
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  child.kill("SIGINT");
  return ended;
}

describe("docs/quickstart.md", () => {
  beforeAll(() => {
    mkdirSync(join(folder, "bin"));
    const script = `#!/bin/sh\nexec "${process.execPath}" "${cliPath}" "$@"\n`;
    writeFileSync(join(folder, "bin", "onefold"), script, { mode: 0o755 });
  });
  afterAll(async () => {
    await stopServer();
    rmSync(folder, { recursive: true, force: true });
  });

  it("works as it is written", async () => {
    const port = await freePort();
    const outputs: string[] = [];
    for (const { mark, script } of blocksOf(page.replaceAll("8080", String(port)))) {
      if (mark === "background") await startServer(script.trim());
      else if (mark === "stop") expect(await stopServer()).toBe(0);
      else outputs.push(await runBlock(script));
    }
    const all = outputs.join("\n");
    expect(all).toContain("+ view spending@1");
    expect(all).toMatch(/\d+ accepted, 0 duplicates, 0 rejected/);
    expect(all).toContain("no dead letters");
    expect(all).toMatch(/\d+ values compared, 0 mismatched/);
    expect(all).toMatch(/\d+ states compared, 0 mismatched/);
    expect(all).toContain("- view spending@dev");
    expect(all).toContain("refused: a registered version never changes");
    expect(readFileSync(join(project, "training.csv"), "utf8").split("\n")[0]).toContain(
      "user_id,event_timestamp,is_fraud,payments_1h",
    );
  }, 240_000);
});
