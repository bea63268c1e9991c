/** A version that was retired: refused while it is read, then gone with its states and rows; what it gave can still be computed. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import {
  count,
  type Definition,
  entity,
  experiment,
  last,
  onDemand,
  service,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { exposureLabels } from "../../src/platform/experiments/exposure-labels.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const FORCED = { by: "ada", force: true };
const FIRST_COMMIT = "00000000000000000000.json";
const DAY = 1440 * MINUTE;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64() },
  eventTime: "ended_at",
});
const first = view("rider_rides", { entity: rider, source: rides, features: { fare: last("fare") } });
const second = view("rider_rides", {
  version: 2,
  entity: rider,
  source: rides,
  features: { fare: last("fare"), rides: count().over("1h") },
});
const fares = service("fares", { features: [first] });
const fares2 = service("fares", { version: 2, features: [second] });
const definitions: readonly Definition[] = [rider, rides, first, second, fares, fares2];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

async function open(given: readonly Definition[] = definitions): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions: given, servingLogSampleRate: 1 });
}

function states(version: number): string[] {
  return Array.from(
    platform.exportStates("rider_rides", version),
    ({ key, bytes }) => `${key} ${Buffer.from(bytes).toString("hex")}`,
  );
}

/** Places, totals and notes in the online store, all of which name their view. */
function namesStored(): string[] {
  const store = openLmdbStore({ folder: join(folder, "data", "online"), readOnly: true });
  try {
    return Array.from(store.scanMeta(""), ({ name }) => name);
  } finally {
    void store.close();
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  await open();
  await platform.apply(definitions);
  for (let i = 0; i < 9; i++) {
    clock.advanceTo((START + i * MINUTE) as Micros);
    await platform.push("rides", [{ rider_id: "abc"[i % 3], ended_at: { micros: clock.now() }, fare: 10 + i }]);
  }
  clock.advanceTo((START + 30 * MINUTE) as Micros);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("is refused while it is read, kept or named, and given back whole once it is not", async () => {
  const server = await platform.serve({ port: 0 });
  const ask = (name: string, consumer: string): Promise<Response> =>
    fetch(`${server.url}/services/${name}/vector`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-onefold-consumer": consumer },
      body: JSON.stringify({ entities: { rider_id: "a" }, token: true }),
    });
  await platform.versions.promote("fares@1", { by: "ada" });
  const answer = (await (await ask("fares", "web")).json()) as { features: object; metadata: { token: string } };
  expect(answer.features).toEqual({ fare: 16 });
  await ask("fares", "web");
  await platform.versions.promote("fares@2", { by: "ada", keep: "1d" });
  await ask("fares", "web");

  const by = { by: "ada" };
  await expect(platform.versions.retire("rider_rides@1", by)).rejects.toThrow("service fares reads it");
  const kept = platform.versions.retire("fares@1", { ...by, force: true });
  await expect(kept).rejects.toMatchObject({ code: "STILL_READ" });
  await expect(kept).rejects.toThrow("it is kept until 2026-03-02T00:30:00Z, so that fares@prod can go back to it");

  // What was promised to be kept is kept no longer; that it was read the day before is still known.
  clock.advanceTo((START + 30 * MINUTE + DAY) as Micros);
  const read = platform.versions.retire("fares@1", by);
  await expect(read).rejects.toThrow("the consumer web has read it 2 times in 7 days, last on 2026-03-01");
  expect(await platform.versions.retire("fares@1", { ...by, dry_run: true })).toMatchObject({
    retired: false,
    readers: [],
    recent_reads: [{ consumer: "web", reads: 2, last_read_on: "2026-03-01" }],
  });
  // Days later nobody has.
  clock.advanceTo((START + 9 * DAY) as Micros);
  expect(await platform.versions.retire("fares@1", by)).toMatchObject({ retired: true, recent_reads: [] });
  expect((await ask("fares@1", "web")).status).toBe(404);

  await platform.settle();
  const other = states(2);
  const table = join(folder, "data", "offline", "features", "rider_rides@1");
  expect(existsSync(table)).toBe(true);
  const retired = await platform.versions.retire("rider_rides@1", { ...by, force: true });
  expect(retired.state_bytes).toBeGreaterThan(0);
  expect(retired.table_bytes).toBeGreaterThan(0);
  expect(existsSync(join(table, "_delta_log", FIRST_COMMIT))).toBe(false);
  expect(() => states(1)).toThrow('there is no view "rider_rides@1"');
  expect(states(2)).toEqual(other);

  // Pushes go on, and the version does not come back: not by a restart, nor by the definitions that have it still.
  await platform.push("rides", [{ rider_id: "a", ended_at: { micros: clock.now() }, fare: 99 }]);
  await platform.settle();
  await platform.close();
  await open();
  expect((await platform.apply(definitions)).dirty).toBe(false);
  expect(platform.registry.views()).toHaveLength(1);
  await platform.settle();
  expect(await platform.tables.list()).not.toContainEqual(expect.objectContaining({ table: "features/rider_rides@1" }));
  expect((await platform.vector("fares", { rider_id: "a" })).features).toMatchObject({ fare: 99 });

  // What it gave is computed again from the events, which stay.
  expect(await platform.audit({ states: true })).toMatchObject({ clean: true, missing: 0 });
});

const tip = onDemand("tip", {
  inputs: [first],
  request: { share: t.float64() },
  outputs: { tip: t.float64() },
  compute: ({ fare, share }) => ({ tip: fare === null ? null : fare * share }),
});
const tips = service("tips", { features: [first, tip] });
const tips2 = service("tips", { version: 2, features: [second] });

it("is audited with what its service made of its features, after a restart, too", async () => {
  const all = [...definitions, tip, tips, tips2];
  await platform.apply(all);
  const answer = await platform.vector("tips@1", { rider_id: "a" }, { request: { share: 0.25 } });
  expect(answer.features).toEqual({ fare: 16, tip: 4 });
  for (const name of ["tips@1", "tip@1", "fares@1", "rider_rides@1"]) await platform.versions.retire(name, FORCED);
  const whole = { clean: true, missing: 0, compared: 3, vectors: 1 };
  expect(await platform.audit()).toMatchObject(whole);
  await platform.close();
  await open(all);
  expect(await platform.audit()).toMatchObject(whole);
});

it("is trained on as it was served, by its number and by what an experiment gave of it", async () => {
  const tried = experiment("tried", { service: [tips, tips2], weights: [1, 0], unit: rider });
  const all = [...definitions, tip, tips, tips2, tried];
  await platform.apply(all);
  const { features, metadata } = await platform.vector(
    "tried",
    { rider_id: "a" },
    { request: { share: 0.25 }, token: true },
  );
  expect(metadata["variant"]).toBe("tips@1");
  const labels = join(folder, "labels.csv");
  await writeFile(labels, `rider_id,share,token\na,0.25,${String(metadata["token"])}\n`);
  await platform.experiments.stop("tried", { serve: "tips@2", by: "ada" });
  const gone = ["tried", "tips@1", "tip@1", "fares@1", "rider_rides@1"];
  for (const name of gone) await platform.versions.retire(name, FORCED);
  await platform.close();
  await open(all);
  const exposed = { experiment: "tried", variant: "tips@1", path: join(folder, "exposures.ndjson") };
  for (const request of [
    { service: "tips@1", labels, knowledge: "as-served" as const },
    await exposureLabels(platform, exposed),
  ]) {
    const set = await platform.train(request);
    expect(set.rowCount).toBe(1);
    expect(Object.fromEntries(set.columns.map((column) => [column.name, column.value(0)]))).toEqual(features);
    expect(set.manifest.onDemandViews).toMatchObject([{ name: "tip", version: 1 }]);
  }
  // Its name means what is there now, and nothing is served or fitted by what is gone.
  await expect(platform.train({ service: "fares@3", labels })).rejects.toMatchObject({ code: "SERVICE_UNKNOWN" });
  await expect(platform.vector("tips@1", { rider_id: "a" })).rejects.toMatchObject({ code: "SERVICE_UNKNOWN" });
});

it("is counted as missing by the audit where its source has changed since, and nothing else is", async () => {
  const taps = stream("taps", {
    columns: { rider_id: t.string(), at: t.timestamp(), n: t.int64() },
    eventTime: "at",
  });
  const totals = view("totals", { entity: rider, source: taps, features: { sum_n: sum("n") } });
  const counts = view("counts", { entity: rider, source: taps, features: { taps: count() } });
  const [summed, counted] = [service("summed", { features: [totals] }), service("counted", { features: [counts] })];
  await platform.apply([rider, taps, totals, counts, summed, counted]);
  await platform.push("taps", [{ rider_id: "a", at: { micros: clock.now() }, n: 2 }]);
  for (const name of ["summed", "counted"]) await platform.vector(name, { rider_id: "a" });
  await platform.versions.retire("summed@1", FORCED);
  await platform.versions.retire("totals@1", FORCED);
  await platform.apply([
    stream("taps", {
      columns: { rider_id: t.string(), at: t.timestamp(), n: t.float64().widenedFrom(t.int64()) },
      eventTime: "at",
    }),
  ]);
  const found = await platform.audit();
  expect(found).toMatchObject({ vectors: 2, compared: 1, mismatched: 0, missing: 1 });
  expect(found.missingReasons).toEqual([
    expect.stringMatching(/^view totals@1 cannot be computed over its source as it is now: sum gives float64/),
  ]);
  expect(await platform.checks.skew.round()).toMatchObject({ vectors: 2, unknown: 1, mismatched: 0 });
});

it("that crashed before its states were gone has none after it is opened again", async () => {
  // The registry alone, as where the process ends right behind it.
  await platform.settle();
  await platform.registry.retire({ target: "fares@1", by: "ada" });
  // A service that is called as the view that stays.
  await platform.registry.apply([service("rider_rides", { version: 2, features: [second] })]);
  await platform.registry.retire({ target: "rider_rides@2", kind: "service", by: "ada" });
  await platform.registry.retire({ target: "rider_rides@1", by: "ada" });
  await platform.close();
  expect(namesStored().filter((name) => name.includes("rider_rides@1"))).not.toEqual([]);
  await open();
  const table = join(folder, "data", "offline", "features", "rider_rides@1", "_delta_log", FIRST_COMMIT);
  expect(existsSync(table)).toBe(false);
  expect(states(2)).toHaveLength(3);
  expect(() => states(1)).toThrow('there is no view "rider_rides@1"');
  await platform.push("rides", [{ rider_id: "a", ended_at: { micros: clock.now() }, fare: 1 }]);
  await platform.settle();
  expect(existsSync(table)).toBe(false);
  await platform.close();
  expect(namesStored().filter((name) => name.includes("rider_rides@1"))).toEqual([]);
  expect(namesStored().filter((name) => name.includes("rider_rides@2"))).not.toEqual([]);
});
