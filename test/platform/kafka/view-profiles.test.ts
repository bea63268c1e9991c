/** Profiles of views as several workers make them of what they look at, held against all of it. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, MICROS_PER_DAY, parseMicros } from "../../../src/base/micros.ts";
import type { EntityDefinition, StreamDefinition, ViewDefinition } from "../../../src/define/definition.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import { count, entity, last, lastK, stream, t, view } from "../../../src/index.ts";
import { type ColumnProfile, profileOf } from "../../../src/monitor/quality/column-profile.ts";
import { ForgottenNotes, ForgottenWatch } from "../../../src/ingest/kafka/forgotten-notes.ts";
import { FoldedProfiler } from "../../../src/monitor/quality/folded-profiler.ts";
import { ProfileParts } from "../../../src/monitor/quality/profile-parts.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { ViewProfiles } from "../../../src/platform/kafka/view-profiles.ts";
import { FoldedRecorder } from "../../../src/platform/monitoring/folded-recorder.ts";
import { workerProfileFiles } from "../../../src/platform/kafka/worker-profile-files.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
/** Two days before a month's end. */
const START = parseMicros("2026-10-30T00:00:00Z");
const FIRST_DAY = START / MICROS_PER_DAY;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), fare: t.float64().nullable(), town: t.string() },
  eventTime: "at",
  kafka: "rides",
});
const riderRides = view("rider_rides", {
  entity: rider,
  source: rides,
  features: { fare: last("fare"), rides: count(), towns: lastK("town", 2) },
}) as ViewDefinition;

let folder: string;
let engine: QueryEngine;
let clock: ReplayClock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-view-profiles-"));
  engine = await openDuckDb({ threads: 1 });
  clock = new ReplayClock(START);
});
afterEach(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

interface TestWorker {
  readonly seen: FoldedProfiler;
  readonly profiles: ViewProfiles;
}

let started = 0;
function start(): TestWorker {
  const seen = new FoldedProfiler();
  return { seen, profiles: new ViewProfiles({ folder, writer: `w${started++}`, clock, seen }) };
}

async function dayOf(day: number): Promise<ReadonlyMap<string, ColumnProfile> | null> {
  const found = await workerProfileFiles(folder, riderRides).day(engine, day);
  return found === null ? null : new Map(found.map(({ name, sketch }) => [name, profileOf(sketch)]));
}

it(`are of all that workers have written, whoever makes them, restarts or not (seed ${SEED})`, async () => {
  const random = new SeededRandom(SEED);
  const workers = [start(), start()];
  const all: { readonly day: number; readonly fare: number | null; readonly rides: number }[] = [];
  const reused: Value[] = [null, null, ["Oslo", "Moss"]];
  for (let step = 0; step < 12; step++) {
    clock.advanceTo((clock.now() + random.integer(1, 12) * 3_600_000_000) as Micros);
    for (let i = random.integer(0, 700); i > 0; i--) {
      const row = {
        day: Math.floor(clock.now() / MICROS_PER_DAY),
        fare: random.oneIn(7) ? null : random.integer(0, 400) / 4,
        rides: random.integer(1, 9),
      };
      all.push(row);
      // What is shown is good for the moment alone.
      reused[0] = row.fare;
      reused[1] = row.rides;
      (reused[2] as Value[])[0] = random.pick(["Oslo", "Bergen"]);
      random.pick(workers).seen.see(riderRides, reused, clock.now());
    }
    for (const { profiles } of workers) if (random.oneIn(2)) await profiles.keep();
    if (random.oneIn(2)) await random.pick(workers).profiles.bringUp(engine, riderRides);
    if (random.oneIn(5)) {
      const stopped = random.integer(0, 1);
      await workers[stopped]!.profiles.keep();
      workers[stopped] = start();
    }
  }
  for (const { profiles } of workers) await profiles.keep();
  await random.pick(workers).profiles.bringUp(engine, riderRides);
  const days = [...new Set(all.map(({ day }) => day))];
  for (const day of days) {
    const rows = all.filter((row) => row.day === day);
    const fares = rows.flatMap(({ fare }) => (fare === null ? [] : [fare]));
    const profile = (await dayOf(day))!;
    expect([...profile.keys()].toSorted()).toEqual(["fare", "rides", "towns"]);
    const fare = profile.get("fare")!;
    expect([fare.rows, fare.nulls]).toEqual([rows.length, rows.length - fares.length]);
    expect([fare.min, fare.max]).toEqual(fares.length === 0 ? [null, null] : [Math.min(...fares), Math.max(...fares)]);
    if (fares.length > 0) {
      const mean = fares.reduce((sum, one) => sum + one, 0) / fares.length;
      expect(Math.abs(fare.mean! - mean)).toBeLessThan(1e-9 * (1 + mean));
    }
    const ridden = profile.get("rides")!;
    const counted = new Map<Value, number>();
    for (const { rides: value } of rows) counted.set(value, (counted.get(value) ?? 0) + 1);
    expect(ridden.distinct).toBe(counted.size);
    for (const { value, count: told } of ridden.top) expect(told).toBe(counted.get(value));
    const towns = profile.get("towns")!.top.map(({ value }) => value);
    expect(towns.every((value) => value === '["Oslo","Moss"]' || value === '["Bergen","Moss"]')).toBe(true);
  }
  // Once there is nothing new nothing is written.
  const { profiles } = workers[0]!;
  await profiles.bringUp(engine, riderRides);
  const written = join(folder, "monitor", "quality", "views", "rider_rides@1");
  const before = await readdir(written);
  await rm(written, { recursive: true });
  await profiles.bringUp(engine, riderRides);
  expect(await readdir(written).catch(() => [])).toEqual([]);
  expect(before.every((name) => /^2026-1[01]\.parquet$/.test(name))).toBe(true);
});

it("stay when the parts they were made of are no longer kept, and are not made anew of what comes later", async () => {
  const worker = start();
  const see = async (time: number, fare: number): Promise<void> => {
    worker.seen.see(riderRides, [fare, 1, null], time);
    await worker.profiles.keep();
    await worker.profiles.bringUp(engine, riderRides);
  };
  await see(START, 5);
  clock.advanceTo((START + 33 * MICROS_PER_DAY) as Micros);
  await see(clock.now(), 7);
  // Folded long after it became known.
  await see(START, 9);
  expect((await dayOf(FIRST_DAY))!.get("fare")).toMatchObject({ rows: 1, mean: 5 });
  expect((await dayOf(FIRST_DAY + 33))!.get("fare")).toMatchObject({ rows: 1, mean: 7 });
  expect(await readdir(join(folder, "monitor", "quality", "parts", "rider_rides@1"))).toHaveLength(1);
});

it("are not made of what a worker saw before an entity was forgotten, however late it keeps it", async () => {
  const notes = new ForgottenNotes(folder, "onefold", "rides");
  const profiler = new FoldedProfiler();
  const watches = [new ForgottenWatch([notes]), new ForgottenWatch([notes])];
  for (const watch of watches) expect(await watch.hasChanged()).toBe(false);
  const [isForgotten, isForgottenForDrift] = watches.map((watch) => () => watch.hasChanged());
  const profiles = new ViewProfiles({ folder, writer: "w", clock, seen: profiler, isForgotten: isForgotten! });
  const recorder = new FoldedRecorder({ folder, writer: "w", clock, rate: 1, isForgotten: isForgottenForDrift! });
  const [source, viewed] = [rides as StreamDefinition, riderRides];
  const folded = { definition: viewed, fold: compileViewFold(viewed, source, rider as EntityDefinition) };
  const see = (): void => {
    profiler.see(riderRides, [1, 1, ["town"]], START);
    const state = folded.fold.empty();
    folded.fold.fold(state, { offset: 0, eventTime: START, knownTime: START, row: ["ada", START, 1, "town"] });
    recorder.sight!.see(folded, state);
  };
  const keep = async (): Promise<readonly [number, number]> => {
    await Promise.all([profiles.keep(), recorder.flush()]);
    const days = await new ProfileParts(folder, "w").days("rider_rides@1");
    return [days.size, (await recorder.windows.services()).length];
  };
  see();
  await notes.keepOrigins(new Map([["id/0", new Set([1])]]));
  expect(await keep()).toEqual([0, 0]);
  see();
  expect(await keep()).toEqual([1, 1]);
  await recorder.close();
});
