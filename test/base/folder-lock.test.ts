import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lockFolder } from "../../src/base/folder-lock.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-lock-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("folder lock", () => {
  it("has one owner, names it, and is free again once released", async () => {
    const folder = join(root, "one");
    const lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      message: expect.stringContaining(`process ${process.pid} `),
      where: folder,
    });
    await lock.release();
    const again = await lockFolder(folder);
    await again.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("is won by exactly one of many contenders, also for a dead owner's folder", async () => {
    const child = spawn(process.execPath, ["-e", "process.exit(0)"]);
    const dead = child.pid!;
    await once(child, "exit");
    for (let round = 0; round < 10; round++) {
      const folder = join(root, `contended ${round}`);
      await (await lockFolder(folder)).release();
      if (round % 2 === 1)
        await writeFile(join(folder, "lock"), JSON.stringify({ pid: dead, started: null, token: "t" }));
      const results = await Promise.allSettled(Array.from({ length: 12 }, () => lockFolder(folder)));
      const locks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      expect(locks).toHaveLength(1);
      for (const lock of locks) await lock.release();
    }
  });

  it("is taken over from a process that ended, from a reused process id, and from a damaged file", async () => {
    const folder = join(root, "stale");
    await (await lockFolder(folder)).release();
    const stale = [
      JSON.stringify({ pid: 2 ** 22 + 1, started: null, token: "t" }),
      JSON.stringify({ pid: process.pid, started: "another boot 1", token: "t" }),
      "",
      "{half",
    ];
    for (const content of stale) {
      await writeFile(join(folder, "lock"), content);
      const lock = await lockFolder(folder);
      expect(JSON.parse(await readFile(join(folder, "lock"), "utf8"))).toMatchObject({ pid: process.pid });
      await lock.release();
    }
  });
});
