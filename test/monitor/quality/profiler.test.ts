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
import { type QueryEngine, sqlText } from "../../../src/offline-store/engine.ts";
import type { ArchivedEvent } from "../../../src/offline-store/event-archive.ts";
import { eventRelation } from "../../../src/offline-store/event-reader.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const DAY = 86_400e6;
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

async function holdAgainstSql(archive: HistoryArchive, profiles: string): Promise<number> {
  const { live, history } = await archive.files();
  const all = `${eventRelation([...history, ...live], source.columns)} WHERE _event_time IS NOT NULL`;
  const told = await engine.rows(`SELECT * FROM read_parquet(${sqlText(join(profiles, "*.parquet"))})`);
  const numbers: Readonly<Record<string, string>> = { amount: "amount", serial: "serial", flag: "flag::INT" };
  let days = 0;
  for (const column of source.columns.map(({ name }) => name)) {
    const number = numbers[column];
    const exact = await engine.rows(
      `SELECT floor(epoch_us(_known_time) / ${DAY}.0)::DOUBLE * ${DAY} AS day, count(*)::DOUBLE AS row_count,
         (count(*) - count("${column}"))::DOUBLE AS nulls, count(DISTINCT "${column}")::DOUBLE AS distinct_count
         ${number === undefined ? "" : `, avg(${number}) AS mean, stddev_samp(${number}) AS stddev, min(${number})::DOUBLE AS min, max(${number})::DOUBLE AS max, list_sort(list(${number}) FILTER (WHERE ${number} IS NOT NULL))[greatest(1, (floor(0.5 * (count(${number}) - 1)) + 1)::INT)]::DOUBLE AS p50`}
       FROM ${all} GROUP BY 1 ORDER BY 1`,
    );
    const own = told
      .filter((row) => row["column_name"] === column)
      .toSorted((a, b) => Number(a["day"]) - Number(b["day"]));
    expect(own.map((row) => row["day"])).toEqual(exact.map((row) => row["day"]));
    days = exact.length;
    for (const [i, wanted] of exact.entries()) {
      const profile = own[i]!;
      for (const name of ["row_count", "nulls"]) expect([column, profile[name]]).toEqual([column, wanted[name]]);
      const distinct = Number(wanted["distinct_count"]);
      const allowed = 6 * Number(profile["distinct_error"]) * distinct;
      expect(Math.abs(Number(profile["distinct_count"]) - distinct)).toBeLessThanOrEqual(allowed);
      if (number === undefined) continue;
      for (const name of ["min", "max"]) expect([name, profile[name]]).toEqual([name, wanted[name]]);
      for (const name of ["mean", "stddev"]) {
        if (wanted[name] === null) expect(profile[name]).toBeNull();
        else expect(Math.abs(Number(profile[name]) - Number(wanted[name]))).toBeLessThanOrEqual(1e-9 * 1000);
      }
      if (wanted["p50"] === null) continue;
      const error = Number(profile["quantile_error"]) * Math.abs(Number(wanted["p50"])) + 1e-9;
      expect(Math.abs(Number(profile["p50"]) - Number(wanted["p50"]))).toBeLessThanOrEqual(error);
    }
  }
  return days;
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
      await archive.appendLive(events);
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
    expect(await holdAgainstSql(archive, profiles)).toBeGreaterThan(2);
    // Nothing is read twice.
    expect(await profileEvents(optionsWith(files), source, await archive.files())).toBe(0);
  });
});
