/**
 * A table whose log is cleaned beside its writers: what a writer was told is committed stays, also where it stood still
 * while others went on and what it had read of the log was cleaned away.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineTable } from "../../src/offline-store/offline-store.ts";
import type { TableStorage } from "../../src/offline-store/table-storage.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";
import { datedStorage } from "./dated-storage.ts";
import { Interleaving } from "./interleaving.ts";
import { rowsOf, TaggedWorld } from "./tagged-world.ts";

const DAY_MS = 24 * 3_600_000;
const SEED = firstSeed();
const RUNS = Number(process.env["ONEFOLD_CASES"] ?? 3);

let engine: QueryEngine;
let root: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  root = await mkdtemp(join(tmpdir(), "onefold-writers-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

/** Stops a writer in front of the operation that `isHere` tells of, until it is let go on. */
function stopping(storage: TableStorage, isHere: (operation: string, path: string) => boolean) {
  let reached = (): void => {};
  let goOn = (): void => {};
  const stopped = new Promise<void>((resolve) => (reached = resolve));
  const going = new Promise<void>((resolve) => (goOn = resolve));
  const stop = async (operation: string, path: string): Promise<void> => {
    if (!isHere(operation, path)) return;
    reached();
    await going;
  };
  return {
    stopped,
    goOn: () => goOn(),
    storage: {
      ...storage,
      async putIfAbsent(path: string, text: string) {
        await stop("put", path);
        const isNew = await storage.putIfAbsent(path, text);
        await stop("put done", path);
        return isNew;
      },
      async publish(written: string, path: string) {
        await stop("publish", path);
        await storage.publish(written, path);
        await stop("publish done", path);
      },
    },
  };
}

const isCommit = (version: number) => (operation: string, path: string) =>
  operation === "put" && path.endsWith(`${String(version).padStart(20, "0")}.json`);

describe("a writer that stands still between its look at a table and its commit", () => {
  it.each([
    ["and what was taken out of the table is erased", 0, (table: OfflineTable) => table.erase(() => true)],
    ["for two days, and then it is erased", 2, (table: OfflineTable) => table.erase(() => true)],
    [
      "for two months, and the log is cleaned",
      60,
      (table: OfflineTable) => table.cleanUp({ keptMillis: 0, logKeptMillis: 0, isUnneeded: () => true }),
    ],
  ] as const)("loses no row of what it tells is committed, %s", async (name, days, clean) => {
    const world = new TaggedWorld(join(root, name), engine);
    const others = await world.open();
    await world.append(others, "a");
    const idle = await world.open();
    const { stopped, goOn, storage } = stopping(datedStorage(world.clock), isCommit(2));
    const slow = await world.open(storage);
    const committing = world.append(slow, "b");
    await stopped;
    for (const row of "cdefghijkl") await world.append(others, row);
    await world.join(others);
    world.pass(days * DAY_MS);
    await clean(others);
    // Its name is taken, or free in the past.
    expect((await readdir(join(others.folder, "_delta_log"))).includes(`${"2".padStart(20, "0")}.json`)).toBe(
      days === 0,
    );
    expect(await rowsOf(idle)).toEqual([..."acdefghijkl"]);
    goOn();
    if (days > 0) {
      // Its file was named nowhere for so long that it is gone: it is written again with the commit that is decided anew.
      await expect(committing).rejects.toMatchObject({ code: "TABLE_CONFLICT" });
      for (const table of [slow, others, await world.open()]) expect(await rowsOf(table)).toEqual([..."acdefghijkl"]);
    }
    const version = days > 0 ? await world.append(slow, "b") : await committing;
    expect(version).toBeGreaterThan(11);
    for (const table of [slow, others, await world.open()]) {
      expect(await rowsOf(table)).toEqual([..."abcdefghijkl"]);
      expect((await table.snapshot()).version).toBe(version);
    }
  });

  it("is refused where its file was taken away before the table could name it", async () => {
    const world = new TaggedWorld(join(root, "taken-away"), engine);
    const table = await world.open();
    await world.append(table, "a");
    const isPublished = (operation: string): boolean => operation === "publish done";
    const { stopped, goOn, storage } = stopping(datedStorage(world.clock), isPublished);
    const committing = world.append(await world.open(storage), "b");
    await stopped;
    const [path] = await table.unnamed();
    await table.discard([{ path: path! }]);
    goOn();
    await expect(committing).rejects.toMatchObject({ code: "TABLE_CONFLICT" });
    await world.append(table, "c");
    expect(await rowsOf(await world.open())).toEqual(["a", "c"]);
  });

  it("leaves nothing where it never goes on, though it had put its commit into the past", async () => {
    const world = new TaggedWorld(join(root, "never"), engine);
    const others = await world.open();
    await world.append(others, "a");
    const idle = await world.open();
    const before = stopping(datedStorage(world.clock), isCommit(2));
    let put = (): void => {};
    const isPut = new Promise<void>((resolve) => (put = resolve));
    const killed: TableStorage = {
      ...before.storage,
      async putIfAbsent(path, text) {
        const isNew = await before.storage.putIfAbsent(path, text);
        if (!isCommit(2)("put", path)) return isNew;
        put();
        return new Promise(() => {});
      },
    };
    void world.append(await world.open(killed), "b");
    await before.stopped;
    // Whoever stood at the same version finds the entry of the other one.
    const third = stopping(datedStorage(world.clock), isCommit(2));
    const stale = await world.open(third.storage);
    const committing = world.append(stale, "c");
    await third.stopped;
    for (const row of "defghijklm") await world.append(others, row);
    world.pass(2 * DAY_MS);
    await others.erase(() => true);
    before.goOn();
    await isPut;
    expect((await readdir(join(others.folder, "_delta_log"))).toSorted()[0]).toBe(`${"2".padStart(20, "0")}.json`);
    for (const table of [others, idle, await world.open()]) expect(await rowsOf(table)).toEqual([..."adefghijklm"]);
    third.goOn();
    await expect(committing).rejects.toMatchObject({ code: "TABLE_CONFLICT" });
    await world.append(stale, "c");
    for (const table of [stale, others, await world.open()]) expect(await rowsOf(table)).toEqual([..."acdefghijklm"]);
    world.pass(2 * DAY_MS);
    await world.append(others, "n");
    await others.erase(() => true);
    await others.erase(() => true);
    expect(await readdir(join(others.folder, "_delta_log"))).not.toContain(`${"2".padStart(20, "0")}.json`);
  });

  it.each([
    ["put", /\/\.[^/]*\.json$/],
    ["put done", /\/\.[^/]*\.json$/],
    ["publish", /\.checkpoint\.parquet$/],
    ["publish done", /\.checkpoint\.parquet$/],
  ])("takes back a checkpoint that comes late, as it says what was erased (%s)", async (where, of) => {
    const world = new TaggedWorld(join(root, `late at ${where}`), engine);
    const slowStop = stopping(datedStorage(world.clock), (operation, path) => operation === where && of.test(path));
    const slow = await world.open(slowStop.storage);
    for (const row of "abcdefghi") await world.append(slow, row);
    const tenth = world.append(slow, "erased");
    await slowStop.stopped;
    const others = await world.open();
    await world.append(others, "k");
    const { files } = await others.snapshot();
    const gone = files.find(({ tags }) => tags["rows"] === "erased")!;
    await others.commit({ add: [], remove: [gone.path.slice(others.folder.length + 1)], operation: "FORGET" });
    await others.erase(() => true);
    slowStop.goOn();
    await tenth;
    const log = join(others.folder, "_delta_log");
    expect((await readdir(log)).filter((one) => one.includes("checkpoint.") || one.startsWith("."))).toEqual([
      `${"12".padStart(20, "0")}.checkpoint.parquet`,
    ]);
    expect(JSON.parse(await readFile(join(log, "_last_checkpoint"), "utf8"))).toMatchObject({ version: 12 });
    expect(await rowsOf(await world.open())).toEqual([..."abcdefghik"]);
  });
});

describe("a table with writers, joiners, cleaners and readers, each stopped or killed anywhere", () => {
  it.each(Array.from({ length: RUNS }, (_, i) => SEED + i))(
    "has each row that was told to be committed once, at any moment (seed %d)",
    { timeout: 120_000 },
    async (seed) => {
      const random = new SeededRandom(seed * 7919);
      const world = new TaggedWorld(join(root, `seed-${seed}`), engine);
      await world.open();
      const interleaving = new Interleaving(random);
      const told = new Set<string>();
      const asked = new Set<string>();
      const killed = new Map<string, number>();
      /** Ends at a random operation, before or behind it, for good, now and then. */
      const storageOf = (task: string): TableStorage => {
        if (random.oneIn(3)) killed.set(task, random.integer(1, 60));
        const isBehind = random.oneIn(2);
        const real = interleaving.storage(task, datedStorage(world.clock));
        return new Proxy(real, {
          get(target, name: keyof TableStorage) {
            const operation = target[name] as (...args: unknown[]) => Promise<unknown>;
            return async (...args: unknown[]) => {
              const left = killed.get(task);
              if (left !== undefined) killed.set(task, left - 1);
              if (left !== undefined && left <= 0) throw new Error("killed");
              const result = await operation(...args);
              if (left === 1 && isBehind) throw new Error("killed");
              return result;
            };
          },
        });
      };
      /** Again in a new process where it was killed. */
      const task = (name: string, work: (table: OfflineTable, round: number) => Promise<void>, rounds: number) => {
        return async () => {
          let table: OfflineTable | null = null;
          for (let round = 0; round < rounds; round++) {
            try {
              table ??= await world.open(storageOf(name));
              await work(table, round);
            } catch (error) {
              if (isOnefoldError(error) && error.code === "TABLE_CONFLICT") continue;
              if ((error as Error).message !== "killed") throw error;
              killed.delete(name);
              table = null;
            }
          }
        };
      };
      const writer = (name: string) =>
        task(
          name,
          async (table, round) => {
            const row = `${name}${String(round).padStart(3, "0")}`;
            asked.add(row);
            await world.append(table, row);
            told.add(row);
          },
          12,
        );
      const reader = async (table: OfflineTable): Promise<void> => {
        const before = [...told];
        const rows = await rowsOf(table);
        expect(rows).toEqual([...new Set(rows)]);
        expect(new Set(rows)).toEqual(new Set([...rows, ...before]));
        expect(rows.filter((row) => !asked.has(row))).toEqual([]);
      };
      await interleaving.run([
        writer("a"),
        writer("b"),
        writer("c"),
        task("joiner", (table) => world.join(table), 6),
        task(
          "cleaner",
          async (table) => {
            world.pass(random.pick([0, 0.5, 2, 60]) * DAY_MS);
            if (random.oneIn(2)) await table.erase(() => true);
            else await table.cleanUp({ keptMillis: DAY_MS, logKeptMillis: 30 * DAY_MS, isUnneeded: () => true });
          },
          8,
        ),
        task("eraser", (table) => table.erase(() => true), 5),
        task("reader", reader, 12),
      ]);
      const table = await world.open();
      await reader(table);
      // Work goes on, and the log begins where it can.
      for (let n = 0; n < 11; n++) {
        asked.add(`z${n}`);
        await world.append(table, `z${n}`);
        told.add(`z${n}`);
      }
      world.pass(2 * DAY_MS);
      await table.erase(() => true);
      await reader(table);
      await reader(await world.open());
    },
  );
});
