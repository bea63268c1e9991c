/** Files of shadows: who writes them, who takes over what was left, and what is removed stays removed. */
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ShadowFolder } from "../../../src/monitor/shadow/shadow-folder.ts";
import type { ShadowRecord } from "../../../src/monitor/shadow/shadow-record.ts";
import { ShadowTally } from "../../../src/monitor/shadow/shadow-tally.ts";

const NOW = Date.now();
const HOUR = 3_600_000;

let dataDir: string;
let folder: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "onefold-"));
  folder = join(dataDir, "monitor", "shadow");
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function records(compared: number): ShadowRecord[] {
  const tally = new ShadowTally({ served: "delay@1", shadow: "delay@2", since: "2026-01-01T00:00:00Z" });
  const vector = { micros: 1, values: [] };
  for (let i = 0; i < compared; i++) tally.add({ served: vector, shadow: vector, entity: {}, asOfMicros: 0 });
  return [tally.record()];
}

async function left(writer: string, compared: number, hoursAgo: number): Promise<void> {
  await new ShadowFolder(dataDir, writer).add("trial", records(compared));
  const seconds = (NOW - hoursAgo * HOUR) / 1000;
  await utimes(join(folder, `trial.${writer}.json`), seconds, seconds);
}

async function count(): Promise<number> {
  return (await new ShadowFolder(dataDir).read("trial")).reduce((sum, { compared }) => sum + compared, 0);
}

describe("what writers have left", () => {
  it("is taken over once it is a day old, and counted once, by however many at a time", async () => {
    await left("a", 1, 30);
    await left("b", 10, 25);
    await left("c", 100, 23);
    await writeFile(join(folder, "trial.later.json"), '{"format":99}');
    await utimes(join(folder, "trial.later.json"), 0, 0);
    const others = ["", "d", "e"].map((writer) => new ShadowFolder(dataDir, writer));
    await Promise.all(others.map((one) => one.adopt(NOW)));
    expect(await count()).toBe(111);
    const names = await readdir(folder);
    expect(names).toContain("trial.c.json");
    expect(names).not.toContain("trial.a.json");
    expect(names).not.toContain("trial.b.json");
    // What another version wrote is kept, under the name of one who looked.
    expect(names.length).toBeLessThanOrEqual(2 + others.length);
    await others[0]!.adopt(NOW + 48 * HOUR);
    expect(await count()).toBe(111);
    expect((await readdir(folder)).filter((name) => !name.includes("_"))).toEqual(["trial.json"]);
  });
});

describe("what cannot be read", () => {
  it("is not taken for nothing", async () => {
    expect(await count()).toBe(0);
    await new ShadowFolder(dataDir).add("trial", records(1));
    await mkdir(join(folder, "trial.a.json"));
    await expect(count()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(new ShadowFolder(dataDir, "a").add("trial", records(1))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  });
});

describe("what was removed", () => {
  it("does not come again with what others saw before that", async () => {
    const [own, other] = [new ShadowFolder(dataDir), new ShadowFolder(dataDir, "a")];
    for (const one of [own, other]) await one.add("trial", records(1));
    await own.remove(() => true);
    await other.add("trial", records(10));
    expect(await count()).toBe(0);
    // Who removed it knows what it saw since.
    await own.add("trial", records(100));
    await other.add("trial", records(1000));
    expect(await count()).toBe(1100);
  });

  it("goes with what is being written, and while others write", async () => {
    const [own, other] = [new ShadowFolder(dataDir), new ShadowFolder(dataDir, "a")];
    await own.add("trial", records(1));
    await writeFile(join(folder, ".trial.b.json.pending"), "{");
    await own.remove((experiment) => experiment === "another");
    expect(await readdir(folder)).toHaveLength(2);
    await own.remove(() => true);
    expect(await readdir(folder)).toEqual([]);
    const ends = new AbortController();
    const writing = (async () => {
      while (!ends.signal.aborted) await other.add("trial", records(1)).catch(() => undefined);
    })();
    try {
      for (let i = 0; i < 20; i++) await own.remove(() => true);
    } finally {
      ends.abort();
      await writing;
    }
  });
});
