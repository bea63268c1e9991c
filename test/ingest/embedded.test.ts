import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Archiver } from "../../src/ingest/archiver.ts";
import { diskStorage } from "../../src/ingest/disk-storage.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openFeatureRowTable } from "../../src/offline-store/feature-row-table.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { MINUTE, openPayments, payment, payments, START, storedStates, TestClock, user, userView } from "./payments.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-embedded-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("a source on real storage", () => {
  it("archives events and feature rows in Delta tables, once each, over restarts", async () => {
    const folder = join(root, "archive");
    const engine = await openDuckDb();
    const offline = openOfflineStore(join(folder, "offline"), engine);
    const archive = await openEventArchive(offline, engine, payments);
    const rowTable = await openFeatureRowTable(offline, engine, userView, user);
    const clock = new TestClock();
    for (let round = 0; round < 3; round++) {
      const store = openLmdbStore({ folder: join(folder, "online") });
      const pipeline = await openPayments({ storage: diskStorage, store, clock }, { folder });
      const archiver = new Archiver({
        pipeline,
        store,
        archive,
        rowTable: () => Promise.resolve(rowTable),
        intervalMs: null,
      });
      await pipeline.push(Array.from({ length: 40 }, (_, i) => payment(round * 40 + i)));
      clock.time += 2 * MINUTE;
      pipeline.tick();
      await pipeline.drain();
      expect(await archiver.run()).toEqual({ events: 40, rows: 4 });
      expect(await archiver.run()).toEqual({ events: 0, rows: 0 });
      await archiver.close();
      await pipeline.close();
      await store.close();
    }
    const { live, liveEnd } = await archive.files();
    expect([liveEnd, live.reduce((sum, file) => sum + file.rows, 0)]).toEqual([120, 120]);
    const { files } = await rowTable.table.snapshot();
    const paths = files.map((file) => `'${file.path}'`).join(", ");
    const rows = await engine.rows(
      `SELECT "user", epoch_us(_minute) AS minute, count FROM read_parquet([${paths}]) ORDER BY minute, "user"`,
    );
    const expected = [0, 1, 2].flatMap((round) =>
      [0, 1, 2, 3].map((n) => ({ user: `u${n}`, minute: START + round * 2 * MINUTE, count: (round + 1) * 10 })),
    );
    expect(rows).toEqual(expected);
    await engine.close();
  });

  it(
    "killed again and again, keeps every acknowledged event once and ends with the states of an undisturbed run",
    { timeout: 240_000 },
    async () => {
      const folder = join(root, "killed");
      const script = join(import.meta.dirname, "..", "..", "node_modules", `.pusher-to-kill-${process.pid}.mjs`);
      const entry = join(import.meta.dirname, "pusher-to-kill.ts");
      await build({
        entryPoints: [entry],
        outfile: script,
        bundle: true,
        platform: "node",
        format: "esm",
        packages: "external",
      });
      let acknowledged = 0;
      try {
        for (let round = 0; round < 6; round++)
          acknowledged = Math.max(acknowledged, await runAndKill(script, folder, 60 + 45 * round));
      } finally {
        await rm(script, { force: true });
      }
      const store = openLmdbStore({ folder: join(folder, "online") });
      const clock = new TestClock();
      const pipeline = await openPayments({ storage: diskStorage, store, clock }, { folder });
      await pipeline.drain();
      const events: LogEvent[] = [];
      for await (const batch of pipeline.log.read(0)) events.push(...batch);
      const ids = events.map((event) => event.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length).toBeGreaterThanOrEqual(acknowledged);
      expect(acknowledged).toBeGreaterThan(100);
      expect(new Set(ids)).toEqual(new Set(ids.map((_, n) => `p${n}`)));
      const reference = new MemoryOnlineStore();
      const undisturbed = await openPayments({ storage: new ForgetfulStorage(), store: reference, clock });
      await undisturbed.push(events.map((event) => payment(Number(event.id!.slice(1)))));
      await undisturbed.drain();
      expect(storedStates(pipeline)).toEqual(storedStates(undisturbed));
      await pipeline.close();
      await store.close();
      await undisturbed.close();
    },
  );
});

/** Kills the process so many milliseconds after its first acknowledgement; gives the last number it printed. */
async function runAndKill(script: string, folder: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let timer: NodeJS.Timeout | null = null;
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs);
  });
  const signal = await new Promise<string | null>((resolve) => {
    child.on("close", (_code, killedBy) => resolve(killedBy));
  });
  expect(signal).toBe("SIGKILL");
  return Number(output.slice(0, output.lastIndexOf("\n")).split("\n").at(-1));
}
