/** A process that makes way does so while it loads, too: its threads never have the priority of whoever started it. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forkYielding } from "../../src/base/yield-priority.ts";

/** The system may keep one of them from being told before it runs; hardly all. */
const STARTS = 5;
const LOW = Math.min(19, getPriority() + 10);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-yield-"));
  await writeFile(
    join(folder, "program.mjs"),
    `import { readdirSync } from "node:fs";
import { getPriority } from "node:os";
process.send({
  priorities: readdirSync("/proc/self/task").map((thread) => getPriority(Number(thread))),
  asked: process.argv[2],
});
process.disconnect();`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.runIf(process.platform === "linux")("a process that is started to make way", () => {
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
