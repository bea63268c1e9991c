/** What a table's log says of rows that were taken out of the table: erased, entry by entry, and nothing else of it. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { micros } from "../../src/base/micros.ts";
import { readDeltaFiles } from "../../src/offline-store/delta-files.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import { datedStorage } from "./dated-storage.ts";
import { failingStorage } from "./failing-storage.ts";
import { rowsOf, TaggedWorld } from "./tagged-world.ts";

const DAY_MS = 24 * 3_600_000;

let engine: QueryEngine;
let root: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  root = await mkdtemp(join(tmpdir(), "onefold-erased-"));
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

describe("what is erased", () => {
  it("is nowhere in the log, which says the same otherwise, entry by entry", async () => {
    const world = new TaggedWorld(join(root, "erased"), engine);
    const table = await world.open();
    for (const row of ["ada", "bob", "cy", "ada", "dan"]) await world.append(table, `${row}${Math.random()}`);
    const { files } = await table.snapshot();
    const paths = files
      .filter(({ tags }) => tags["rows"]!.startsWith("ada"))
      .map(({ path }) => path.slice(table.folder.length + 1));
    expect(paths).toHaveLength(2);
    // Of another engine, which keeps a sum of the entry beside it.
    const log = join(table.folder, "_delta_log");
    await writeFile(join(log, `.${"1".padStart(20, "0")}.json.crc`), "sum");
    await writeFile(join(log, ".left.tmp"), "ada");
    await writeFile(join(log, `${"1".padStart(20, "0")}.crc`), "ada");
    await table.commit({ add: [], remove: paths, operation: "FORGET" });
    const history = await table.history(100);
    world.pass(1000);
    const before = await stamps(log);
    await table.erase(() => true);
    expect(await traces(log)).toEqual([]);
    expect(await table.history(100)).toEqual(history);
    // Who has read the table up to before these rows were in it cannot tell what is new.
    const after = (version: number) => readDeltaFiles(table.folder, engine, { version, tableId: null });
    await expect(after(3)).rejects.toMatchObject({ code: "TABLE_INVALID" });
    expect((await after(4)).files).toHaveLength(1);
    // What is left of the others' values stays, and when each commit was made.
    expect(await readFile(join(log, `${"2".padStart(20, "0")}.json`), "utf8")).toContain("minValues");
    const stamped = await stamps(log);
    for (const [name, at] of before) if (stamped.has(name)) expect([name, stamped.get(name)]).toEqual([name, at]);
    expect(await rowsOf(await world.open())).toEqual(await rowsOf(table));
  });

  it("is written again several entries at once, where the storage can do that", async () => {
    for (const atOnceMax of [undefined, 3]) {
      const world = new TaggedWorld(join(root, `at-once-${atOnceMax}`), engine);
      let [running, most] = [0, 0];
      const { atOnceMax: _, ...storage } = datedStorage(world.clock);
      const table = await world.open({
        ...storage,
        ...(atOnceMax === undefined ? {} : { atOnceMax }),
        async replace(...args) {
          most = Math.max(most, ++running);
          await storage.replace(...args);
          running--;
        },
      });
      for (let i = 0; i < 8; i++) await world.append(table, `ada${i}`);
      const { files } = await table.snapshot();
      const remove = files.map(({ path }) => path.slice(table.folder.length + 1));
      await table.commit({ add: [], remove, operation: "FORGET" });
      await table.erase(() => true);
      expect([most, running]).toEqual([atOnceMax ?? 1, 0]);
      expect(await traces(join(table.folder, "_delta_log"))).toEqual([]);
    }
  });

  it(
    "is gone in the end wherever that was cut short, and the table is whole all the time",
    { timeout: 120_000 },
    async () => {
      const prepared = new TaggedWorld(join(root, "prepared"), engine);
      const table = await prepared.open();
      await prepared.append(table, "ada1");
      // An entry of two days ago, which goes; and others, which stay.
      prepared.pass(2 * DAY_MS);
      for (const row of ["bob", "ada2", "cy"]) await prepared.append(table, row);
      const { files } = await table.snapshot();
      const gone = files.filter(({ tags }) => tags["rows"]!.startsWith("ada"));
      const remove = gone.map(({ path }) => path.slice(table.folder.length + 1));
      await table.commit({ add: [], remove, operation: "FORGET" });
      let cases = 0;
      for (const effect of [false, true]) {
        for (let failAt = 0, isCut = true; isCut; failAt++, cases++) {
          const world = new TaggedWorld(join(root, `cut-${String(effect)}-${failAt}`), engine);
          world.pass(2 * DAY_MS);
          await cp(prepared.folder, world.folder, { recursive: true, preserveTimestamps: true });
          const failing = failingStorage(failAt, effect, datedStorage(world.clock));
          isCut = await (
            await world.open(failing)
          )
            .erase(() => true)
            .then(
              () => false,
              () => true,
            );
          const reopened = await world.open();
          expect(await rowsOf(reopened)).toEqual(["bob", "cy"]);
          // With or without a commit behind what was cut short.
          await reopened.erase(() => true);
          const log = join(reopened.folder, "_delta_log");
          const { version } = JSON.parse(await readFile(join(log, "_last_checkpoint"), "utf8")) as { version: number };
          expect(await readdir(log)).toContain(`${String(version).padStart(20, "0")}.checkpoint.parquet`);
          await world.append(reopened, "dan");
          await reopened.erase(() => true);
          expect(await traces(join(reopened.folder, "_delta_log"))).toEqual([]);
          const left = (await readdir(reopened.folder)).filter((name) => name.endsWith(".parquet"));
          expect(left.filter((name) => remove.includes(name))).toEqual([]);
          expect(await rowsOf(await world.open())).toEqual(["bob", "cy", "dan"]);
        }
      }
      expect(cases).toBeGreaterThan(15);
    },
  );

  /** Files of the log with values of those that are gone. */
  async function traces(log: string): Promise<string[]> {
    const found: string[] = [];
    for (const name of await readdir(log)) {
      const text = await readFile(join(log, name), "latin1");
      if (/"letter\\*":\\*"ada/.test(text) || text === "ada" || text === "sum") found.push(name);
    }
    return found;
  }

  async function stamps(log: string): Promise<Map<string, number>> {
    const files = await datedStorage({ now: () => micros(0) }).files(log);
    return new Map(files.map(({ path, writtenMillis }) => [path, Math.round(writtenMillis)]));
  }
});
