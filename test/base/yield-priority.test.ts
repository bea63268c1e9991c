/** A process that makes way does so while it loads, too: its threads never have the priority of whoever started it. */
import { once } from "node:events";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forkYielding } from "../../src/base/yield-priority.ts";
import { IDLE_CLASS, ORDINARY_CLASS } from "../processes.ts";

/** The system may keep one of them from being told before it runs; hardly all. */
const STARTS = 5;
const LOW = Math.min(19, getPriority() + 10);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-yield-"));
  await writeFile(
    join(folder, "program.mjs"),
    `import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
const threads = readdirSync("/proc/self/task");
process.send({
  priorities: threads.map((thread) => getPriority(Number(thread))),
  classes: threads.map((thread) => Number(readFileSync("/proc/" + thread + "/stat", "utf8").split(") ")[1].split(" ")[38])),
  asked: process.argv[2],
});
process.disconnect();`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.runIf(process.platform === "linux")("a process that is started to make way", () => {
  it("is idle before it has run anything, where it is to be and the system lets it, and runs where it does not", async () => {
    const own = process.env["PATH"];
    // Whatever is in its path, it is run as it is.
    const program = join(folder, "a $(touch b) 'c'.mjs");
    await copyFile(join(folder, "program.mjs"), program);
    const classes: number[] = [];
    for (const [path, isIdle] of [
      [own, true],
      [folder, true],
      [own, false],
    ] as const) {
      process.env["PATH"] = path;
      const child = forkYielding(program, { isIdle });
      process.env["PATH"] = own;
      const [told] = (await once(child, "message")) as [
        { readonly asked: string; readonly classes: readonly number[] },
      ];
      expect(told.asked).toBe(String(LOW));
      expect(told.classes.length).toBeGreaterThan(1);
      classes.push(...new Set(told.classes));
    }
    expect(classes).toEqual([IDLE_CLASS, ORDINARY_CLASS, ORDINARY_CLASS]);
  });

  it(
    "has a lower priority before it has run anything, in all threads that it has by then",
    { timeout: 120_000 },
    async () => {
      const told: { readonly priorities: readonly number[]; readonly asked: string }[] = [];
      const isLow = ({ priorities }: (typeof told)[number]): boolean =>
        priorities.every((priority) => priority === LOW);
      while (told.length < STARTS && !told.some(isLow)) {
        const child = forkYielding(join(folder, "program.mjs"));
        const ended = once(child, "exit");
        const [message] = (await once(child, "message")) as [(typeof told)[number]];
        told.push(message);
        await ended;
      }
      expect(told.map(({ asked }) => asked)).toEqual(told.map(() => String(LOW)));
      const last = told.at(-1)!;
      expect([isLow(last), told]).toEqual([true, told]);
      expect(last.priorities.length).toBeGreaterThan(1);
    },
  );
});
