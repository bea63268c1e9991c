/** A command that works beside a server has made way for it before its command line is loaded. Runs what is built. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openOwnerDesk, type OwnerDesk } from "../../src/cli/owner-desk.ts";
import { IDLE_CLASS, ORDINARY_CLASS } from "../processes.ts";
import { cliPath } from "./run-cli.ts";

let folder: string;
let data: string;
let desk: OwnerDesk;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-make-way-"));
  data = join(folder, "data");
  await mkdir(data);
  desk = await openOwnerDesk(data, {});
  // What is asked of the system first, and whether the command line's own package is loaded by then.
  await writeFile(
    join(folder, "seen.cjs"),
    `const os = require("node:os");
const { readFileSync } = require("node:fs");
const { setPriority } = os;
const seen = [];
os.setPriority = (...asked) => {
  seen.push(Object.keys(require.cache).some((file) => file.includes("commander")));
  setPriority(...asked);
};
let idleMillis = 0;
os.cpus = () => [{ times: { idle: (idleMillis += Number(process.env.IDLE_MILLIS)) } }];
require("node:module").syncBuiltinESMExports();
const schedulingClass = () => Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ")[38]);
process.on("exit", () => {
  const told = { seen, priority: os.getPriority(), schedulingClass: schedulingClass() };
  process.stderr.write("SEEN " + JSON.stringify(told));
});`,
  );
});
afterAll(async () => {
  await desk.close();
  await rm(folder, { recursive: true, force: true });
});

interface Seen {
  readonly seen: readonly boolean[];
  readonly priority: number;
  readonly schedulingClass: number;
}

const seenOf = (...args: string[]): Promise<Seen> => seenBeside(100, ...args);

/** On a machine whose cores are idle for so long between two looks. */
async function seenBeside(idleMillis: number, ...args: string[]): Promise<Seen> {
  const env = { ...process.env, IDLE_MILLIS: String(idleMillis) };
  const command = ["--require", join(folder, "seen.cjs"), cliPath, ...args];
  const { stderr } = await promisify(execFile)(process.execPath, command, { cwd: folder, env }).catch(
    (failed: { readonly stderr: string }) => failed,
  );
  return JSON.parse(/SEEN (.*)$/.exec(stderr)![1]!);
}

describe.runIf(process.platform === "linux")("making way for a server", () => {
  it("comes before all that a command loads", async () => {
    const told = await seenOf("backfill", "visits", "--dry-run", "--data=elsewhere", "--data", "data");
    const { seen, priority, schedulingClass } = told;
    expect(schedulingClass).toBe(IDLE_CLASS);
    expect(priority).toBe(Math.min(19, getPriority() + 10));
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain(true);
  });

  it("is of a lower priority alone where no core is idle, as it would wait for as long as that is so", async () => {
    const { seen, priority, schedulingClass } = await seenBeside(0, "backfill", "visits", "--dry-run", "--data=data");
    expect([priority, schedulingClass]).toEqual([Math.min(19, getPriority() + 10), ORDINARY_CLASS]);
    expect(seen).not.toContain(true);
  });

  it("is nothing for a command that works nothing out, nor where there is no server", async () => {
    const others = [
      seenOf("views", "--data", "data"),
      seenOf("backfill", "visits", "--dry-run", "--data", "elsewhere"),
    ];
    for (const { seen, priority, schedulingClass } of await Promise.all(others)) {
      expect(seen).toEqual([]);
      expect(priority).toBe(getPriority());
      expect(schedulingClass).toBe(ORDINARY_CLASS);
    }
  });
});
