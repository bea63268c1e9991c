/** Profiles kept up to date in steps, across crashes, held against SQL over all events; the files are read as DuckDB reads any. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceDefinition } from "../../../src/define/definition.ts";
import { stream, t } from "../../../src/index.ts";
import { ProfileFiles } from "../../../src/monitor/quality/profile-files.ts";
import { profileEvents, type ProfilerOptions } from "../../../src/monitor/quality/profiler.ts";
import { type HistoryArchive, openEventArchive } from "../../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { eventRelation } from "../../../src/offline-store/event-relation.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";
import { holdAgainstSql } from "./held-against-sql.ts";
import { appendLive, type ArchivedEvent } from "../../offline-store/live-events.ts";

const SEED = firstSeed();
/** Two days before a month's end. */
const START = Date.UTC(2026, 9, 30) * 1000;

const source = stream("s", {
  columns: {
    at: t.timestamp(),
    code: t.string().nullable(),
    amount: t.float64().nullable(),
    serial: t.int64().nullable(),
    flag: t.bool().nullable(),
  },
  eventTime: "at",
}) as SourceDefinition;

let engine: QueryEngine;
let folder: string;
beforeAll(async () => {
  engine = await openDuckDb({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "onefold-profiles-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

function optionsWith(files: ProfileFiles): ProfilerOptions {
  return { engine, files, rest: async () => {}, check: () => {} };
}

/** Fails at one of its writes. */
class FailingFiles extends ProfileFiles {
  writes: number;
  constructor(path: string, writes: number) {
    super(path);
    this.writes = writes;
  }
  override async write(...args: Parameters<ProfileFiles["write"]>): Promise<void> {
    if (this.writes-- === 0) throw new Error("the process is gone");
    return super.write(...args);
  }
}

async function holdArchive(archive: HistoryArchive, profiles: string): Promise<number> {
  const { live, history } = await archive.files();
  const events = `${eventRelation([...history, ...live], source.columns)} WHERE _event_time IS NOT NULL`;
  const columns = source.columns.map(({ name }) => name);
  const numbers = { amount: "amount", serial: "serial", flag: "flag::INT" };
  return holdAgainstSql({ engine, events, columns, numbers, profiles });
}

describe("profiles of a source", () => {
  it(`are those of all events, read in steps and across crashes, by day and month (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const archive = await openEventArchive(openOfflineStore(join(folder, "offline"), engine), engine, source);
    const profiles = join(folder, "monitor");
    let knownTime = START;
    let offset = 0;
    for (let step = 0; step < 8; step++) {
      const events = Array.from({ length: random.integer(5, 400) }, (): ArchivedEvent => {
        knownTime += random.integer(0, 4 * 3600) * 1e5;
        const maybe = (value: Value): Value => (random.oneIn(8) ? null : value);
        const row = [
          knownTime,
          maybe(random.pick(["a", "b", "c"])),
          maybe(random.integer(-200, 200) / 4),
          maybe(offset),
          maybe(random.oneIn(2)),
        ];
        const isRetraction = random.oneIn(40);
        const cells = isRetraction ? row.map(() => null) : row;
        return { offset: offset++, eventTime: isRetraction ? Number.NaN : knownTime, knownTime, id: null, row: cells };
      });
      await appendLive(archive, events);
      if (random.oneIn(3)) continue;
      const isCutShort = random.oneIn(2);
      const files = isCutShort ? new FailingFiles(profiles, random.integer(0, 1)) : new ProfileFiles(profiles);
      await profileEvents(optionsWith(files), source, await archive.files()).catch((error: unknown) => {
        expect(String(error)).toContain("the process is gone");
      });
    }
    const files = new ProfileFiles(profiles);
    const { liveEnd } = await archive.files();
    await profileEvents(optionsWith(files), source, await archive.files());
    expect((await files.place(engine))?.endOffset).toBe(liveEnd);
    expect(await holdArchive(archive, profiles)).toBeGreaterThan(2);
    // Nothing is read twice.
    expect(await profileEvents(optionsWith(files), source, await archive.files())).toBe(0);
  });
});
