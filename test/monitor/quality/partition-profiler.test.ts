/** Profiles of events in partitions, kept up to date in steps, across crashes and by two workers, held against SQL over all events. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceDefinition } from "../../../src/define/definition.ts";
import { stream, t } from "../../../src/index.ts";
import { type PartitionMemory, profilePartitions } from "../../../src/monitor/quality/partition-profiler.ts";
import { ProfileFiles } from "../../../src/monitor/quality/profile-files.ts";
import { placesOf } from "../../../src/offline-store/archive-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { eventRelation } from "../../../src/offline-store/event-relation.ts";
import { openPartitionedEvents, type PartitionedEvent } from "../../../src/offline-store/partitioned-events.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";
import { holdAgainstSql } from "./held-against-sql.ts";

const SEED = firstSeed();
/** Two days before a month's end. */
const START = Date.UTC(2026, 9, 30) * 1000;
const PARTITIONS = 3;

const source = stream("s", {
  columns: { at: t.timestamp(), code: t.string().nullable(), amount: t.float64().nullable() },
  eventTime: "at",
}) as SourceDefinition;

let engine: QueryEngine;
let folder: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "onefold-partition-profiles-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

/** Fails at one of its writes, and lets another go first. */
class DisturbedFiles extends ProfileFiles {
  writes: number;
  readonly disturb: () => Promise<void>;
  constructor(path: string, writes: number, disturb: () => Promise<void>) {
    super(path);
    this.writes = writes;
    this.disturb = disturb;
  }
  override async days(...args: Parameters<ProfileFiles["days"]>): ReturnType<ProfileFiles["days"]> {
    await this.disturb();
    return super.days(...args);
  }
  override async write(...args: Parameters<ProfileFiles["write"]>): Promise<void> {
    if (this.writes-- === 0) throw new Error("the process is gone");
    return super.write(...args);
  }
}

describe("profiles of a source in partitions", () => {
  it(`are those of all events, read in steps, across crashes and by two at a time (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const store = openOfflineStore(join(folder, "offline"), engine);
    const archive = await openPartitionedEvents<null>(store, engine, source, "t");
    const profiles = join(folder, "monitor");
    const offsets = Array.from({ length: PARTITIONS }, () => 0);
    const known = Array.from({ length: PARTITIONS }, () => START);
    const memories = Array.from({ length: 2 }, (): PartitionMemory => ({ files: new Set(), place: null }));
    const pass = async (files: ProfileFiles, memory: PartitionMemory): Promise<number> => {
      const table = await archive.files();
      const ends = new Map(Array.from(placesOf(table), ([partition, { offset }]) => [partition, offset]));
      const options = { engine, files, rest: async () => {}, check: () => {} };
      return profilePartitions(options, source, { files: table, ends }, memory);
    };
    for (let step = 0; step < 9; step++) {
      const places = await archive.places();
      const events: PartitionedEvent[] = [];
      const moved = Array.from({ length: PARTITIONS }, (_, partition) => partition).filter(() => !random.oneIn(4));
      for (const partition of moved) {
        for (let i = random.integer(1, 120); i > 0; i--) {
          known[partition]! += random.integer(0, 4 * 3600) * 1e6;
          offsets[partition]! += random.integer(1, 3);
          const knownTime = known[partition]!;
          const maybe = (value: Value): Value => (random.oneIn(8) ? null : value);
          const row = [knownTime, maybe(random.pick(["a", "b", "c"])), maybe(random.integer(-200, 200) / 4)];
          events.push({ partition, offset: offsets[partition]! - 1, eventTime: knownTime, knownTime, id: null, row });
        }
      }
      if (events.length > 0) {
        const changes = moved.map((partition) => {
          return { partition, offset: offsets[partition]!, memory: null, after: places.get(partition) ?? null };
        });
        await archive.append(events, changes);
      }
      const mine = random.pick(memories);
      let isDisturbed = random.oneIn(3);
      const disturb = async (): Promise<void> => {
        if (!isDisturbed) return;
        isDisturbed = false;
        await pass(new ProfileFiles(profiles), memories[mine === memories[0] ? 1 : 0]!);
      };
      const failsAt = random.oneIn(3) ? random.integer(0, 1) : -1;
      await pass(new DisturbedFiles(profiles, failsAt, disturb), mine).catch((error: unknown) => {
        if ((error as { code?: string }).code === "TABLE_CONFLICT") return;
        expect(String(error)).toContain("the process is gone");
      });
    }
    const memory = random.pick(memories);
    await pass(new ProfileFiles(profiles), memory);
    const columns = source.columns.map(({ name }) => name);
    const events = eventRelation(await archive.files(), source.columns);
    const days = await holdAgainstSql({ engine, events, columns, numbers: { amount: "amount" }, profiles });
    expect(days).toBeGreaterThan(2);
    // Nothing is read twice.
    expect(await pass(new ProfileFiles(profiles), memory)).toBe(0);
    expect(await pass(new ProfileFiles(profiles), { files: new Set(), place: null })).toBe(0);
  });

  it("are not written of rows that were forgotten while they were read", async () => {
    const store = openOfflineStore(join(folder, "forgotten"), engine);
    const archive = await openPartitionedEvents<null>(store, engine, source, "t");
    const event = { partition: 0, offset: 0, eventTime: START, knownTime: START, id: null, row: [START, "a", 1] };
    await archive.append([event], [{ partition: 0, offset: 1, memory: null, after: null }]);
    const files = new ProfileFiles(join(folder, "forgotten-profiles"));
    const pass = (isForgotten: boolean): Promise<number> => {
      const options = { engine, files, rest: async () => {}, check: () => {} };
      const stillHold = async (): Promise<void> => {
        if (isForgotten) throw new Error("forgotten");
      };
      const memory: PartitionMemory = { files: new Set(), place: null };
      const ends = new Map([[0, 1]]);
      return archive
        .files()
        .then((table) => profilePartitions(options, source, { files: table, ends, stillHold }, memory));
    };
    await expect(pass(true)).rejects.toThrow("forgotten");
    expect(await files.place(engine)).toBeNull();
    expect(await pass(false)).toBe(1);
    expect(await files.place(engine)).toMatchObject({ partitions: { 0: 1 } });
  });
});
