/** An idle process beside others that leave no core is known to be starved; one that is given some, or wants none, is not. Runs what is built. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProcessStarter as Starter } from "../../src/base/process-starter.ts";
import { startHere } from "../../src/base/started-process.ts";
import { watchStarved } from "../../src/base/starved-process.ts";

const DIST = pathToFileURL(fileURLToPath(new URL("../../dist/base/process-starter.js", import.meta.url))).href;
const { ProcessStarter } = (await import(DIST)) as { readonly ProcessStarter: typeof Starter };

/** Longer than it takes to see. */
const LONG_MS = 5000;

let folder: string;
let children: ChildProcess[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-starved-"));
  children = [];
});
afterEach(async () => {
  await end();
  await rm(folder, { recursive: true, force: true });
});

async function end(): Promise<void> {
  const ends = children.splice(0).map(async (child) => {
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  await Promise.all(ends);
}

function run(text: string): ChildProcess {
  const file = join(folder, `program-${children.length}.cjs`);
  writeFileSync(file, text);
  const child = spawn(process.execPath, [file], { stdio: "ignore" });
  children.push(child);
  return child;
}

describe.runIf(process.platform === "linux")("a process that is left no core", () => {
  it("is told of if it is idle, through a process that has started it, too", async () => {
    const file = join(folder, "program.mjs");
    await writeFile(
      file,
      `process.once("disconnect", () => process.exit());
// It may have been let go of before it ran any of this.
if (!process.connected) process.exit();
const work = () => {
  for (const began = Date.now(); Date.now() - began < 20; );
  setImmediate(work);
};
work();`,
    );
    const starter = ProcessStarter.open()!;
    // They leave no core idle.
    for (let i = 0; i < 2 * availableParallelism(); i++) run("for (;;);");
    const idle = [startHere, starter.start.bind(starter)].map((start) => start(file, { isIdle: true }));
    await Promise.all(idle.map((child) => new Promise<void>((resolve) => child.onStarved(resolve))));
    await end();
    const ends = idle.map((child) => new Promise<string>((resolve) => child.onEnd(resolve)));
    for (const child of idle) child.letGo();
    // Other work on this machine may still leave them none: then they are ended.
    await Promise.all(ends);
    await starter.close();
  });

  it("is not one that has some of a core, nor one that wants none, whichever of its threads end", async () => {
    let told = 0;
    const busy = run("for (;;);");
    const waiting = run("setInterval(() => {}, 1000);");
    // One of its threads ends, and what that ran with it.
    const losing = run(`const { isMainThread, Worker } = require("node:worker_threads");
if (isMainThread) new Worker(__filename);
else setTimeout(() => process.exit(), 3000);
const work = () => {
  for (const began = Date.now(); Date.now() - began < 20; );
  setImmediate(work);
};
work();`);
    const stops = [busy, waiting, losing].map(({ pid }) => watchStarved(pid!, () => told++));
    await sleep(LONG_MS);
    for (const stop of stops) stop();
    expect(told).toBe(0);
  });
});
