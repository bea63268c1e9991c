/**
 * Work on all of a source's files beside what deletes some of them at once, as forgetting does: it begins again from those
 * that are there, and comes to what it comes to with nothing beside it.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { isOnefoldError } from "../../src/base/errors.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, last, stream, sum, t, view } from "../../src/index.ts";
import { type HistoryArchive, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { OfflineStore } from "../../src/offline-store/offline-store.ts";
import { fileRelation, rewriteFiles } from "../../src/offline-store/table-rewrite.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { costOfBackfill } from "../../src/platform/backfilled-view.ts";
import { openContext } from "../../src/platform/open-context.ts";
import { openRegistry } from "../../src/platform/open-registry.ts";
import { previewedView } from "../../src/platform/previewed-view.ts";
import { SourceParts } from "../../src/platform/source-parts.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const USERS = 40;
const EVENTS = 2000;

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
});
const byUser = view("by_user", {
  entity: user,
  source: visits,
  features: { n: count(), total: sum("amount").over("1h"), newest: last("amount") },
});
const definitions = [user, visits, byUser];

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let engine: QueryEngine;
let offline: OfflineStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-beside-forget-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock });
  await platform.apply(definitions);
  const file = join(folder, "history.ndjson");
  await writeFile(file, Array.from({ length: EVENTS }, (_, i) => JSON.stringify(visit(i))).join("\n"));
  await platform.importHistory("visits", [file]);
  clock.advanceTo((START + MINUTE) as Micros);
  await platform.push(
    "visits",
    Array.from({ length: 100 }, (_, i) => visit(EVENTS + i)),
  );
  await platform.settle();
  engine = await openDuckDb({ threads: 1 });
  offline = openOfflineStore(join(folder, "data", "offline"), engine, { clock });
});
afterEach(async () => {
  await engine.close();
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function visit(i: number): object {
  return { user_id: `u${i % USERS}`, amount: i / 4, at: formatMicros((START + i * 1000 - EVENTS * 1000) as Micros) };
}

/** `archive`, whose files are others by the time at which they are read, the first so many times. */
function overtaken(
  archive: Pick<HistoryArchive, "files">,
  times: number,
  overtake: () => Promise<unknown>,
): HistoryArchive & { lists: number } {
  const asked = {
    lists: 0,
    async files() {
      const files = await archive.files();
      if (asked.lists++ < times) await overtake();
      return files;
    },
  };
  return asked as unknown as HistoryArchive & { lists: number };
}

/** Every file of the table written anew with the same rows, and the old ones deleted. */
async function rewriteAll(): Promise<void> {
  const table = (await offline.find("events/visits"))!;
  await rewriteFiles(table, engine, {
    operation: "REWRITE",
    plan: async ({ files }) =>
      files.map((file) => ({ files: [file], select: `SELECT * FROM ${fileRelation(file)} ORDER BY _offset` })),
  });
  await table.erase(() => true);
}

describe("what a backfill takes", () => {
  const asked = (archive: HistoryArchive) =>
    costOfBackfill(previewedView({ view: "by_user" }, platform.registry), {
      archive: async () => archive,
      openEngine: () => openDuckDb({ threads: 1 }),
    });

  it("is told beside a forgetting as if it had been asked for behind it", async () => {
    const archive = await openEventArchive(offline, engine, platform.registry.source("visits").definition);
    const gone = ["u1", "u2"];
    const beside = overtaken(archive, gone.length, () => platform.forget("user", [gone[beside.lists - 1]]));
    const cost = await asked(beside);
    expect(beside.lists).toBe(gone.length + 1);
    const behind = await asked(archive);
    expect({ ...cost, seconds: 0 }).toEqual({ ...behind, seconds: 0 });
    expect(cost).toMatchObject({ entities: USERS - gone.length, trialEntities: USERS - gone.length });
  });

  it("is refused where a file of the newest version is gone", async () => {
    const archive = await openEventArchive(offline, engine, platform.registry.source("visits").definition);
    for (const { path } of (await archive.files()).history) await rm(path);
    await expect(asked(archive)).rejects.toMatchObject({ code: "TABLE_VERSION_GONE" });
  });
});

describe("a backfill whose files are deleted before it reads them", () => {
  /** States that a backfill comes to over `archive`, or the code that it ends with. */
  async function built(of: (archive: HistoryArchive) => HistoryArchive): Promise<Map<string, string> | unknown> {
    const closers: (() => Promise<void>)[] = [];
    const dataDir = join(folder, "data");
    const opened = await openRegistry(dataDir, undefined, { clock, reader: false });
    const { context } = await openContext({ dataDir }, clock, opened, closers);
    const store = new MemoryOnlineStore();
    const { definition } = opened.registry.source("visits");
    const parts = new SourceParts(context, store, definition);
    await parts.open();
    closers.push(() => parts.close());
    try {
      const [found] = parts.views();
      await parts.builder.bringUp(found!, parts.pipeline, of(parts.archive));
      const states = parts.pipeline.runner("by_user@1")!.storedStates();
      return new Map(Array.from(states, ({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]));
    } catch (error) {
      if (isOnefoldError(error)) return error.code;
      throw error;
    } finally {
      for (const close of closers.reverse()) await close();
    }
  }

  it("goes on with those that hold the same events", async () => {
    const served = new Map(
      [...platform.exportStates("by_user")].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
    );
    await platform.close();
    const seen: { archive?: { lists: number } } = {};
    const states = await built((archive) => (seen.archive = overtaken(archive, 2, rewriteAll)) as never);
    expect(states).toEqual(served);
    expect(seen.archive!.lists).toBe(3);
  });

  it("ends with what it failed with where there are no others, or they hold other history", async () => {
    await platform.close();
    const deleted = async (archive: HistoryArchive): Promise<void> => {
      for (const { path } of (await archive.files()).history) await rm(path, { force: true });
    };
    const more = (archive: HistoryArchive): HistoryArchive =>
      ({
        files: async () => {
          const files = await archive.files();
          await deleted(archive);
          lists++;
          return lists === 1 ? files : { ...files, historyEnd: files.historyEnd + lists, history: [] };
        },
      }) as unknown as HistoryArchive;
    let lists = 0;
    expect(await built((archive) => overtaken(archive, 1, () => deleted(archive)))).toBe("TABLE_VERSION_GONE");
    expect(await built(more)).toBe("TABLE_VERSION_GONE");
    expect(lists).toBe(2);
  });
});
