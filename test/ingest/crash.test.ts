import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Archiver } from "../../src/ingest/archiver.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import type { SourcePipelineOptions } from "../../src/ingest/source-pipeline-options.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import type { EventArchive } from "../../src/offline-store/event-archive.ts";
import type { FeatureRow, FeatureRowTable } from "../../src/offline-store/feature-rows.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { MINUTE, openPayments, payment, randomFrom, SECOND, storedStates, TestClock } from "./payments.ts";
import { caseCount } from "../case-count.ts";
import { type ArchivedEvent, eventsOf } from "../offline-store/live-events.ts";

/** Offline tables whose commits are atomic; a crash comes before or after one, as `crashNow` says. */
class MemoryTables {
  events: ArchivedEvent[] = [];
  rows: FeatureRow[] = [];
  sequence = -1;
  crashNow: () => boolean = () => false;

  archive(): EventArchive {
    return {
      files: () =>
        Promise.resolve({
          epoch: 0,
          history: [],
          live: [],
          liveEnd: this.events.length,
          historyEnd: 0,
          lastKnownTime: 0,
        }),
      appendLive: async (events) => {
        await this.#mayCrash();
        const { length } = this.events;
        const fresh: ArchivedEvent[] = [];
        for await (const batch of events.read(length)) fresh.push(...eventsOf(batch));
        this.events.push(...fresh);
        await this.#mayCrash();
      },
    };
  }

  rowTable(): FeatureRowTable {
    return {
      lastSequence: () => Promise.resolve(this.sequence),
      append: async (rows, sequence) => {
        await this.#mayCrash();
        if (sequence > this.sequence) {
          this.rows.push(...[...rows].flat());
          this.sequence = sequence;
        }
        await this.#mayCrash();
      },
    };
  }

  async #mayCrash(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.crashNow()) throw new Error("crashed");
  }
}

interface World {
  storage: ForgetfulStorage;
  store: MemoryOnlineStore;
  clock: TestClock;
  tables: MemoryTables;
}

function newWorld(): World {
  return {
    storage: new ForgetfulStorage(),
    store: new MemoryOnlineStore(),
    clock: new TestClock(),
    tables: new MemoryTables(),
  };
}

async function open(
  world: World,
  options: Partial<SourcePipelineOptions> = {},
): Promise<{ pipeline: SourcePipeline; archiver: Archiver }> {
  const pipeline = await openPayments(world, { segmentBytesMax: 2000, hotCountMax: 4, flushMs: 1, ...options });
  const { store, tables } = world;
  const rowTable = (): Promise<FeatureRowTable> => Promise.resolve(tables.rowTable());
  return {
    pipeline,
    archiver: new Archiver({ pipeline, store, archive: tables.archive(), rowTable, intervalMs: null }),
  };
}

/** Commits of one view or of all, tails of up to four events or, as states here are small, none. */
function randomOptions(random: () => number): Partial<SourcePipelineOptions> {
  const shareMax = random() < 0.8 ? Number.POSITIVE_INFINITY : 0;
  const tailLimits = { eventsMax: Math.floor(random() * 5), shareMax };
  return { statesPerCommit: Math.floor(random() * 4), tailLimits, wholeStates: random() < 0.1 };
}

async function logOf(pipeline: SourcePipeline): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const batch of pipeline.log.read(0)) events.push(...batch);
  return events;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The rows each view must have: one for each entity and minute in which it changed, that is closed. */
function sortedRows(rows: readonly FeatureRow[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}

/** The same events with the same known times, in one go, without a crash. */
async function undisturbed(
  events: readonly LogEvent[],
  end: number,
): Promise<World & { states: Record<string, string> }> {
  const world = newWorld();
  const { pipeline, archiver } = await open(world);
  for (const event of events) {
    const [id, user, country, shop, at, amount] = event.row;
    world.clock.time = event.knownTime;
    await pipeline.push([{ id, user, country, shop, at: { micros: at }, amount }]);
  }
  world.clock.time = end;
  await settle(pipeline, archiver);
  const states = storedStates(pipeline);
  await pipeline.close();
  return { ...world, states };
}

async function settle(pipeline: SourcePipeline, archiver: Archiver): Promise<void> {
  await pipeline.drain();
  pipeline.tick();
  await pipeline.drain();
  await archiver.run();
}

describe("a source that crashes", () => {
  it(
    "ends as if nothing had happened: events, ids, states, feature rows and archive",
    { timeout: 240_000 },
    async () => {
      const property = fc.asyncProperty(fc.integer(), async (seed) => {
        const random = randomFrom(seed);
        let world = newWorld();
        let { pipeline, archiver } = await open(world, randomOptions(random));
        const acknowledged = new Set<string>();
        const sent = new Set<string>();
        let next = 0;
        for (let step = 0; step < 25; step++) {
          const pick = random();
          if (pick < 0.6) {
            const size = 1 + Math.floor(random() * 6);
            const rows = Array.from({ length: size }, () => {
              const n = next > 0 && random() < 0.25 ? Math.floor(random() * next) : next++;
              return payment(n, { at: { micros: world.clock.time - Math.floor(random() * 90) * SECOND } });
            });
            const ids = rows.map((row) => row.id!);
            for (const id of ids) sent.add(id);
            const pushed = pipeline.push(rows).then(() => ids.forEach((id) => acknowledged.add(id)));
            if (random() < 0.6) await pushed;
            else pushed.catch(() => undefined);
          } else if (pick < 0.75) {
            world.clock.time += Math.floor(random() * 2 * MINUTE);
            pipeline.tick();
          } else if (pick < 0.85) {
            await turns(Math.floor(random() * 10));
            if (random() < 0.5) await pipeline.drain();
          } else if (pick < 0.92) {
            await archiver.run();
          } else {
            const crashAfter = Math.floor(random() * 6);
            let asked = 0;
            world.tables.crashNow = () => asked++ >= crashAfter % 3;
            const archiving = archiver.run().catch(() => undefined);
            await turns(crashAfter);
            world = {
              ...world,
              storage: world.storage.crash(random() < 0.3 ? undefined : random),
              store: world.store.crash(),
            };
            await archiving;
            await turns(5);
            world.tables.crashNow = () => false;
            ({ pipeline, archiver } = await open(world, randomOptions(random)));
          }
        }
        await pipeline.drain();
        world.clock.time += 2 * MINUTE;
        await settle(pipeline, archiver);

        const events = await logOf(pipeline);
        expect(events.map((event) => event.offset)).toEqual(events.map((_, i) => i));
        const times = events.map((event) => event.knownTime);
        expect(times).toEqual([...times].sort((a, b) => a - b));
        const logged = events.map((event) => event.id!);
        expect(new Set(logged).size).toBe(logged.length);
        expect([...acknowledged].filter((id) => !logged.includes(id))).toEqual([]);
        expect(logged.filter((id) => !sent.has(id))).toEqual([]);
        // What is derived is not archived.
        const stored = events.map((event) => ({ ...event, row: event.row.slice(0, pipeline.source.columns.length) }));
        expect(world.tables.events).toEqual(stored);

        const reference = await undisturbed(events, world.clock.time);
        expect(storedStates(pipeline)).toEqual(reference.states);
        expect(sortedRows(world.tables.rows)).toEqual(sortedRows(reference.tables.rows));
        const minutes = new Set(events.map((event) => `${event.row[1]} ${Math.floor(event.knownTime / MINUTE)}`));
        expect(world.tables.rows).toHaveLength(minutes.size);
        expect([...world.store.scanMeta("outbox/")]).toEqual([]);
        expect([...world.store.scanMeta("changed/")]).toEqual([]);
        await pipeline.close();
      });
      await fc.assert(property, { numRuns: caseCount(150) });
    },
  );
});
