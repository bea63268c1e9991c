/**
 * Processes that a small process starts are as if this one had started them: what is said comes through to the byte and in
 * order, their ends are told, and none outlives whoever asked. Runs what is built, as the small one is a program of it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ProcessStarter as Starter } from "../../src/base/process-starter.ts";
import type { StartedProcess } from "../../src/base/started-process.ts";
import { childrenOf, IDLE_CLASS, isAlive, ORDINARY_CLASS, schedulingClassOf } from "../processes.ts";

const DIST = pathToFileURL(fileURLToPath(new URL("../../dist/base/process-starter.js", import.meta.url))).href;
const { ProcessStarter } = (await import(DIST)) as { readonly ProcessStarter: typeof Starter };

let folder: string;
let program: string;
let starter: Starter;
let before: readonly number[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-starter-"));
  program = join(folder, "echo.mjs");
  await writeFile(
    program,
    `import { getPriority } from "node:os";
process.send({ pid: process.pid, priority: getPriority() });
process.on("message", (message) => process.send({ echo: message }));
process.once("disconnect", () => process.exit(7));`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  before = childrenOf(process.pid);
  starter = ProcessStarter.open()!;
});
afterEach(() => starter.close());

interface Echo {
  readonly one: StartedProcess;
  readonly said: any[];
  readonly ends: string[];
  readonly pid: number;
}

async function startEcho(isIdle = false): Promise<Echo> {
  const one = starter.start(program, { isIdle });
  const said: any[] = [];
  const ends: string[] = [];
  one.onMessage((message) => said.push(message));
  one.onEnd((how) => ends.push(how));
  await expect.poll(() => said.length).toBe(1);
  return { one, said, ends, pid: said[0].pid };
}

const starterPid = (): number => childrenOf(process.pid).find((pid) => !before.includes(pid))!;

describe.runIf(process.platform === "linux")("processes that a small one starts", () => {
  it("are its own, hear and say everything in order, and each tells of its end", async () => {
    const [first, second] = [await startEcho(), await startEcho(true)];
    expect(childrenOf(starterPid()).sort()).toEqual([first.pid, second.pid].sort());
    expect(first.said[0].priority).toBe(Math.min(19, getPriority() + 10));
    expect([first.pid, second.pid].map(schedulingClassOf)).toEqual([ORDINARY_CLASS, IDLE_CLASS]);
    const numbers = Float64Array.from([Number.NaN, -0, 1e300, Number.NEGATIVE_INFINITY]);
    const messages = Array.from({ length: 50 }, (_, i) => {
      return { i, numbers, ends: new Int32Array(i), bytes: new Uint8Array(100 * i).fill(i), keys: ["ä", "\0", ""] };
    });
    for (const message of messages) for (const { one } of [first, second]) one.send(message);
    await expect.poll(() => second.said.length).toBe(51);
    await expect.poll(() => first.said.length).toBe(51);
    for (const { said } of [first, second]) expect(said.slice(1)).toEqual(messages.map((echo) => ({ echo })));
    first.one.letGo();
    await expect.poll(() => first.ends).toEqual(["exit code 7"]);
    process.kill(second.pid, "SIGKILL");
    await expect.poll(() => second.ends).toEqual(["signal SIGKILL"]);
    second.one.send("lost");
    expect(childrenOf(starterPid())).toEqual([]);
  });

  it("end with it, and then this one starts them itself", async () => {
    const { pid, ends } = await startEcho();
    process.kill(starterPid(), "SIGKILL");
    await expect.poll(() => ends).toEqual(["the process that had started it ended"]);
    await expect.poll(() => isAlive(pid)).toBe(false);
    const other = await startEcho();
    expect(childrenOf(process.pid)).toContain(other.pid);
    other.one.letGo();
    await expect.poll(() => other.ends).toEqual(["exit code 7"]);
  });

  it("end when whoever asked is killed, and hold up nobody who has none", async () => {
    const code = (then: string): string => `const { ProcessStarter } = await import(${JSON.stringify(DIST)});
      const starter = ProcessStarter.open();
      ${then}`;
    const run = (then: string) =>
      spawn(process.execPath, ["--input-type=module", "--eval", code(then)], { stdio: ["ignore", "pipe", "inherit"] });
    const idle = run("console.log(1);");
    const asker = run(`const one = starter.start(${JSON.stringify(program)});
      one.onMessage(({ pid }) => console.log(pid));`);
    const ended = once(idle, "close");
    const [line] = (await once(asker.stdout, "data")) as [Buffer];
    const pid = Number(line);
    const [between] = childrenOf(asker.pid!);
    expect(childrenOf(between!)).toEqual([pid]);
    // Said to a whole group, as by Ctrl-C, they are the asker's business.
    process.kill(between!, "SIGINT");
    process.kill(between!, "SIGTERM");
    asker.kill("SIGKILL");
    await expect.poll(() => isAlive(pid) || isAlive(between!)).toBe(false);
    expect(await ended).toEqual([0, null]);
  });
});
