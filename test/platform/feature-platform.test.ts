/**
 * The platform as a user has it: one folder, definitions, events in, vectors and training sets out.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { entity } from "../../src/define/entity.ts";
import { col, count, max, mean, service, stream, sum, t, view } from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { promised } from "../promised.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: {
    ride_id: t.string(),
    rider_id: t.string(),
    ended_at: t.timestamp(),
    fare: t.float64().nullable(),
    stars: t.int64().nullable(),
  },
  eventTime: "ended_at",
  id: "ride_id",
  maxFuture: "1m",
});
const riderRides = view("rider_rides", {
  version: 1,
  entity: rider,
  source: rides,
  ttl: "1d",
  owner: "growth",
  tags: ["rides"],
  features: {
    rides_10m: count().over("10m"),
    fare_1h: sum("fare").over("1h"),
    stars_mean: mean("stars"),
    five_stars_last_3: count().where(col("stars").eq(5)).over({ last: 3 }),
    dearest: max("fare"),
  },
});
const fraud = service("fraud", { features: [riderRides] });
const definitions = [rider, rides, riderRides, fraud];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function at(minutes: number): Micros {
  return (START + minutes * MINUTE) as Micros;
}

let serial = 0;
function ride(minutes: number, rider_id: string, fare: number | null, stars: number | null): Record<string, unknown> {
  serial += 1;
  return { ride_id: `ride-${serial}`, rider_id, ended_at: { micros: at(minutes) }, fare, stars };
}

async function push(minutes: number, ...rows: Record<string, unknown>[]): Promise<void> {
  clock.advanceTo(at(minutes));
  const result = await platform.push("rides", rows);
  expect(result.rejected).toBe(0);
}

async function vector(minutes: number, rider_id: string): Promise<Record<string, unknown>> {
  clock.advanceTo(at(minutes));
  return (await platform.vector("fraud", { rider_id })).features;
}

describe("a feature platform", () => {
  it("feature registration: definitions are found by name, entity, tag and owner, with their lineage", () => {
    expect(platform.registry.find({ entity: "rider", tag: "rides" }).map((found) => found.definition.name)).toContain(
      "rider_rides",
    );
    expect(platform.registry.find({ owner: "growth" })).toHaveLength(1);
    const edges = platform.registry.lineage().map((edge) => `${edge.from} -> ${edge.to}`);
    expect(edges.some((edge) => edge.includes("rides") && edge.includes("rider_rides@1"))).toBe(true);
    expect(edges.some((edge) => edge.includes("rider_rides@1") && edge.includes("fraud"))).toBe(true);
  });

  it("reads asked for at once have each their own values", async () => {
    await push(1, ...Array.from({ length: 9 }, (_, i) => ride(1, `rider-${i}`, i, 5)));
    const asked = Array.from({ length: 9 }, (_, i) => platform.vector("fraud", { rider_id: `rider-${i}` }));
    expect((await Promise.all(asked)).map(({ features }) => features["dearest"])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("real-time computation: a pushed event is in the next vector, and leaves its window as time passes", async () => {
    await push(1, ride(1, "ana", 10, 5), ride(1, "ben", 99, 1));
    await push(2, ride(2, "ana", 20.5, null));
    expect(await vector(2, "ana")).toEqual({
      rides_10m: 2,
      fare_1h: 30.5,
      stars_mean: 5,
      five_stars_last_3: 1,
      dearest: 20.5,
    });
    expect(await vector(12, "ana")).toMatchObject({ rides_10m: 0, fare_1h: 30.5 });
    expect(await vector(61, "ana")).toMatchObject({ fare_1h: 20.5, dearest: 20.5 });
  });

  it("online store write and read: state survives closing and opening", async () => {
    await push(1, ride(1, "ana", 10, 5));
    const before = await vector(2, "ana");
    await platform.close();
    platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
    expect(await vector(2, "ana")).toEqual(before);
    await push(3, ride(3, "ana", 1, 4));
    expect(await vector(3, "ana")).toMatchObject({ rides_10m: 2, fare_1h: 11, stars_mean: 4.5 });
  });

  it("batch feature read: many entities at once over HTTP, and the offline feature rows of closed minutes", async () => {
    await push(1, ride(1, "ana", 10, 5), ride(1, "ben", 7, 3));
    await push(5, ride(5, "ana", 2, 2));
    const server = await platform.serve({ port: 0 });
    const answer = await fetch(`${server.url}/features/batch`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        entity_type: "rider",
        entity_ids: ["ben", "nobody", "ana"],
        feature_names: ["fare_1h", "rides_10m"],
      }),
    });
    const body = (await answer.json()) as { results: { features: unknown }[] };
    expect(body.results.map((result) => result.features)).toEqual([
      { fare_1h: 7, rides_10m: 1 },
      { fare_1h: null, rides_10m: 0 },
      { fare_1h: 12, rides_10m: 2 },
    ]);
    await server.close();
    await platform.settle();
    const rows = await platform.offlineRows("features/rider_rides@1", "_minute, rider_id");
    expect(rows.map((row) => [row["rider_id"], row["fare_1h"]])).toEqual([
      ["ana", 10],
      ["ben", 7],
    ]);
  });

  it("point-in-time correctness: a training row equals what was served then, late events not yet known", async () => {
    await push(1, ride(1, "ana", 10, 5));
    const served3 = await platform.vector("fraud", { rider_id: "ana" }, { token: true });
    await push(5, ride(2, "ana", 100, 1));
    const served6 = await vector(6, "ana");
    clock.advanceTo(at(10));
    await platform.push("rides", [ride(10, "ben", 1, 1)]);
    const labels = join(folder, "labels.csv");
    const out = join(folder, "set.parquet");
    await writeFile(
      labels,
      `rider_id,event_timestamp,label\nana,2026-03-01T00:06:00Z,1\nana,2026-03-01T00:03:00Z,0\nzoe,2026-03-01T00:03:00Z,0\nana,2026-03-01T00:06:00Z,1\n`,
    );
    await platform.train({ service: "fraud", labels, out });
    const engine = await openDuckDb();
    const rows = await engine.rows(`SELECT * FROM '${out}'`);
    await engine.close();
    expect(rows.map((row) => [row["rider_id"], row["rides_10m"], row["fare_1h"]])).toEqual([
      ["ana", 2, 110],
      ["ana", 1, 10],
      ["zoe", 0, null],
      ["ana", 2, 110],
    ]);
    expect(rows[0]).toMatchObject(served6);
    expect(served3.features).toMatchObject({ rides_10m: 1, fare_1h: 10 });
    const manifest = JSON.parse(await readFile(`${out}.manifest.json`, "utf8")) as Record<string, unknown>;
    expect(JSON.stringify(manifest)).toContain("rider_rides@1");
    const audit = await platform.audit();
    expect(audit).toMatchObject({ mismatched: 0, missing: 0 });
    expect(audit.compared).toBeGreaterThan(0);
  });

  it("serving latency: the 99th percentile of in-process vectors is far below 5 ms", async () => {
    for (let i = 0; i < 300; i++) await push(1 + i / 60, ride(1 + i / 60, `rider-${i % 50}`, i, (i % 5) + 1));
    // A shared machine may take the processor away for a while: the best of five stretches is the platform's own.
    const stretches: number[] = [];
    for (let stretch = 0; stretch < 5; stretch++) {
      const durations: number[] = [];
      for (let i = 0; i < 1000; i++) {
        const begin = performance.now();
        await platform.vector("fraud", { rider_id: `rider-${i % 60}` });
        durations.push(performance.now() - begin);
      }
      durations.sort((a, b) => a - b);
      stretches.push(durations[990]!);
    }
    expect(Math.min(...stretches)).toBeLessThan(promised(5));
  });

  it("freshness: a value's age is counted from its newest event, and past its TTL it is withheld", async () => {
    await push(1, ride(1, "ana", 10, 5));
    clock.advanceTo(at(31));
    const fresh = await platform.vector("fraud", { rider_id: "ana" }, { metadata: "full" });
    expect(JSON.stringify(fresh)).toContain("1800000");
    expect(fresh.features["dearest"]).toBe(10);
    clock.advanceTo(at(1 + 24 * 60));
    expect((await vector(1 + 24 * 60, "ana"))["dearest"]).toBe(10);
    expect((await vector(1 + 24 * 60 + 0.001, "ana"))["dearest"]).toBeNull();
  });

  it("versioning: a changed meaning needs a new version, which is built from all that came before", async () => {
    await push(1, ride(1, "ana", 10, 5));
    const changed = (version: number) =>
      view("rider_rides", { version, entity: rider, source: rides, features: { rides_10m: count().over("20m") } });
    await expect(platform.apply([rider, rides, changed(1)])).rejects.toMatchObject({ code: "DEFINITION_CHANGED" });
    const second = changed(2);
    await platform.apply([rider, rides, second, service("fraud_v2", { features: [second] })]);
    clock.advanceTo(at(15));
    expect((await platform.vector("fraud_v2", { rider_id: "ana" })).features).toEqual({ rides_10m: 1 });
    expect(await vector(15, "ana")).toMatchObject({ rides_10m: 0 });
    await push(16, ride(16, "ana", 1, 1));
    expect((await platform.vector("fraud_v2", { rider_id: "ana" })).features).toEqual({ rides_10m: 2 });
  });
});
