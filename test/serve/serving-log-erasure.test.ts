/** Vectors erased from the serving log beside servers that write on, readers that go on, and others that erase. */
import { appendFile, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import {
  encodeServedVector,
  readServingLog,
  readServingLogFrom,
  type ServedVector,
} from "../../src/schema/served-vector.ts";
import { openServingLog } from "../../src/serve/serving-log.ts";
import { eraseServed } from "../../src/serve/serving-log-erasure.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const SEEDS = Array.from({ length: Number(process.env["ONEFOLD_CASES"] ?? 1) }, (_, i) => SEED + i);
const NAMES = ["ada", "bob", "cy", "dän"];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "serving-log-erasure-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function vector(user: string, value: number): ServedVector {
  return {
    service: "model",
    keys: { user },
    token: { asOf: 990_000_000_000_000 as Micros, reads: [] },
    features: Array.from({ length: 30 }, (_, i) => `by_user@1:feature_${i}`),
    values: Array.from({ length: 30 }, () => value),
    statuses: Array.from({ length: 30 }, () => 0),
  };
}

const isOf = (user: string) => (line: string) => line.includes(`{"user":"${user}"}`);

async function readAll(): Promise<ServedVector[]> {
  const all: ServedVector[] = [];
  for await (const each of readServingLog(folder)) all.push(each);
  return all;
}

async function text(): Promise<string> {
  const names = (await readdir(folder)).toSorted();
  return (await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))).join("");
}

describe("erasing from the serving log", () => {
  it.each(SEEDS)("loses nothing of what servers write in that moment (seed %d)", { timeout: 300_000 }, async (seed) => {
    const random = new SeededRandom(seed);
    const logs = await Promise.all(
      [0, 1].map(() => openServingLog({ folder, sampleRate: 1, segmentBytesMax: 400_000 })),
    );
    const recorded: ServedVector[][] = [[], []];
    const before = new Set<string>();
    const progress = { isWriting: true };
    const writing = logs.map(async (log, i) => {
      for (let n = 0; n < 800; n++) {
        const user = i === 1 && n === 0 ? "ada" : random.pick(NAMES);
        recorded[i]!.push(vector(`${user}/${i}`, n));
        log.record(recorded[i]!.at(-1)!);
        if (random.oneIn(20)) await log.flush();
      }
      await log.close();
    });
    const erasing = (async () => {
      while (progress.isWriting) {
        await eraseServed(folder, (line) => isOf("ada/0")(line) || isOf("ada/1")(line));
        for (const { keys } of await readAll()) before.add(keys["user"]!);
      }
    })();
    // Another command, for another one.
    const alsoErasing = (async () => {
      while (progress.isWriting) await eraseServed(folder, isOf("bob/0"));
    })();
    await Promise.all(writing);
    progress.isWriting = false;
    await Promise.all([erasing, alsoErasing]);
    expect(before.size).toBeGreaterThan(2);
    await eraseServed(folder, (line) => isOf("ada/0")(line) || isOf("ada/1")(line) || isOf("bob/0")(line));
    const left = await readAll();
    for (const i of [0, 1]) {
      const kept = recorded[i]!.filter(({ keys: { user } }) => !["ada/0", "ada/1", "bob/0"].includes(user!));
      expect(left.filter(({ keys: { user } }) => user!.endsWith(`/${i}`))).toEqual(kept);
    }
    expect(await text()).not.toMatch(/ada|bob\/0/);
  });

  it("leaves readers where they are", async () => {
    const log = await openServingLog({ folder, sampleRate: 1 });
    for (let n = 0; n < 10; n++) log.record(vector(NAMES[n % 4]!, n));
    await log.flush();
    const places: Record<string, number> = {};
    const seen: number[] = [];
    for await (const { vector: one, segment, end } of readServingLogFrom(folder, {})) {
      seen.push(one!.values[0] as number);
      places[segment] = end;
      if (seen.length === 5) break;
    }
    expect(await eraseServed(folder, isOf("ada"))).toBe(3);
    expect(await eraseServed(folder, isOf("ada"))).toBe(0);
    log.record(vector("ada", 10));
    log.record(vector("bob", 11));
    await log.close();
    for await (const { vector: one } of readServingLogFrom(folder, places)) seen.push(one!.values[0] as number);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11]);
  });

  it("waits for a line that is being written, and erases what a crash has left of one", async () => {
    const path = join(folder, "000000000000.ndjson");
    const line = `${encodeServedVector(vector("bob", 1))}\n`;
    await writeFile(path, line.slice(0, 100));
    const erasing = eraseServed(folder, () => false);
    await appendFile(path, line.slice(100));
    expect(await erasing).toBe(0);
    expect(await readAll()).toEqual([vector("bob", 1)]);
    await appendFile(path, encodeServedVector(vector("ada", 1)).slice(0, 80));
    expect(await eraseServed(folder, isOf("ada"))).toBe(1);
    expect(await text()).not.toContain("ada");
    expect(await readAll()).toEqual([vector("bob", 1)]);
  });

  it("may be cut short, between any two bytes", async () => {
    const path = join(folder, "000000000000.ndjson");
    const lines = ["bob", "ada", "cy"].map((user) => `${encodeServedVector(vector(user, 1))}\n`);
    const at = Buffer.byteLength(lines[0]!);
    const length = Buffer.byteLength(lines[1]!) - 1;
    for (const [from, to] of [
      [0, 1],
      [0, 40],
      [40, length],
      [length - 1, length],
      [0, length],
    ] as const) {
      await writeFile(path, lines.join(""));
      const file = await open(path, "r+");
      await file.write(" ".repeat(to - from), at + from);
      await file.close();
      expect(await readAll()).toEqual([vector("bob", 1), vector("cy", 1)]);
      expect(await eraseServed(folder, isOf("ada"))).toBe(to - from === length ? 0 : 1);
      expect(await text()).toBe(lines[0] + " ".repeat(length) + "\n" + lines[2]);
    }
  });

  it("finds nothing where there is no log, and says where one cannot be read", async () => {
    expect(await eraseServed(join(folder, "none"), () => true)).toBe(0);
    await writeFile(join(folder, "file"), "");
    await expect(eraseServed(join(folder, "file"), () => true)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});
