/** Sketches of what is folded, whether or not anybody asks for it, held against every value there was. */
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import { alert, count, entity, last, onDemand, service, stream, t, view, webhook } from "../../../src/index.ts";
import type { DriftReport } from "../../../src/monitor/drift/drift-report.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";
import { openReceiver } from "../../monitor/alerts/receiver.ts";

const SEED = firstSeed();
const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const HOUR = 60 * MINUTE;

const rider = entity("rider", { rider_id: t.string() });
const city = entity("town", { city: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), city: t.string(), fare: t.float64().nullable(), at: t.timestamp() },
  eventTime: "at",
});
const riderRides = view("rider_rides", {
  entity: rider,
  source: rides,
  features: { fare: last("fare"), city: last("city"), rides_1h: count().over("1h") },
});
const cityRides = view("city_rides", { entity: city, source: rides, features: { city_rides: count() } });
const doubled = onDemand("doubled", {
  inputs: [riderRides],
  outputs: { twice: t.float64() },
  compute: ({ fare }) => ({ twice: fare === null ? null : fare * 2 }),
});
const model = service("model", { features: [riderRides, cityRides, doubled] });
const definitions = [rider, city, rides, riderRides, cityRides, doubled, model];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

async function open(rate: number, archive?: string): Promise<void> {
  const dataDir = join(folder, "data");
  const rates = { driftSampleRate: rate, servingLogSampleRate: 0 };
  const tables = archive === undefined ? {} : { workerTables: { folder: archive } };
  platform = await openPlatform({ dataDir, clock, definitions, ...rates, ...tables });
  await platform.apply(definitions);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-folded-"));
  clock = new ReplayClock(START);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ride {
  readonly rider: string;
  readonly city: string;
  readonly fare: number | null;
  readonly at: number;
}

const rowOf = ({ rider: rider_id, city: town, fare, at }: Ride) => {
  return { rider_id, city: town, fare, at: formatMicros(at as Micros) };
};

/** One push each, so that each is looked at as it left its entities. */
async function ride(random: SeededRandom, hour: number, rideCount: number, unit = 1): Promise<Ride[]> {
  const all: Ride[] = [];
  for (let i = 0; i < rideCount; i++) {
    const at = Math.max(clock.now(), START + hour * HOUR) + random.integer(0, MINUTE / 2);
    clock.advanceTo(at as Micros);
    const fare = random.oneIn(9) ? null : (random.integer(100, 3000) / 100) * unit;
    const one = { rider: `r${random.integer(1, 9)}`, city: random.pick(["Bergen", "Oslo", "Moss"]), fare, at };
    all.push(one);
    await platform.push("rides", [rowOf(one)]);
  }
  return all;
}

const range = (from: number, to: number): string =>
  `range:${formatMicros((START + from * HOUR) as Micros)}..${formatMicros((START + to * HOUR) as Micros)}`;

function featureOf(report: DriftReport, name: string) {
  return report.features.find(({ feature }) => feature === name)!;
}

describe("sketches of what is folded", () => {
  it(`have the values that each event left its entity with, by hour, also after a restart (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    await open(1);
    const before = await ride(random, 0, 60);
    const after = await ride(random, 2, 60, 60);
    await platform.close();
    // Where workers write into the same folder, nothing is counted twice.
    await open(1, `${folder}/data/`);
    const asked = { service: "model", of: "folded", baseline: range(0, 1), current: range(2, 3) } as const;
    const report = await platform.drift.report(asked);
    // Of each ride a state of each of the two views.
    expect([report.baseline.window.vectors, report.current.window.vectors]).toEqual([120, 120]);
    expect(report.features.map(({ feature }) => feature).toSorted()).toEqual([
      "city",
      "city_rides",
      "fare",
      "rides_1h",
    ]);
    const seen = featureOf(report, "city").reference;
    if (seen.kind !== "category") throw new Error("a city is a category");
    for (const name of ["Bergen", "Oslo", "Moss"]) {
      expect(seen.counts.get(name) ?? 0).toBe(before.filter((one) => one.city === name).length);
    }
    const fares = featureOf(report, "fare");
    // A ride without a fare leaves the one before it.
    const lastFares = (all: readonly Ride[], known: Map<string, number>): number[] =>
      all.flatMap((one) => {
        if (one.fare !== null) known.set(one.rider, one.fare);
        return known.get(one.rider) ?? [];
      });
    const known = new Map<string, number>();
    for (const [profile, all] of [
      [fares.reference, before],
      [fares.current, after],
    ] as const) {
      const values = lastFares(all, known);
      if (profile.kind !== "numeric") throw new Error("a fare is a number");
      expect([profile.count, profile.missing]).toEqual([values.length, all.length - values.length]);
      expect([profile.min, profile.max]).toEqual([Math.min(...values), Math.max(...values)]);
    }
    expect(fares.isDrifted).toBe(true);
    const counts = featureOf(report, "rides_1h").reference;
    const within = before.map((one, i) => {
      return before.slice(0, i + 1).filter(({ rider: who, at }) => who === one.rider && at > one.at - HOUR).length;
    });
    if (counts.kind !== "numeric") throw new Error("a count is a number");
    expect(counts.max).toBe(Math.max(...within));
    // What was served is something else: nobody asked.
    const served = platform.drift.report({ ...asked, of: "served" });
    await expect(served).rejects.toMatchObject({ code: "VALUES_MISSING" });
  });

  it(`are of their part of the events, in pushes of any size, and of none where it is 0 (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    await open(0.1);
    let pushed = 0;
    while (pushed < 4000) {
      const rows = Array.from({ length: random.integer(1, 700) }, () =>
        rowOf({ rider: `r${random.integer(1, 50)}`, city: "Oslo", fare: 1, at: clock.now() }),
      );
      pushed += rows.length;
      await platform.push("rides", rows);
    }
    const asked = { service: "model", of: "folded", baseline: "last:1h", current: "last:1h" } as const;
    const { current } = await platform.drift.report(asked);
    const share = current.window.vectors / 2 / pushed;
    // Gaps of 1 to 19, all equally probable, have a deviation of 5.5: six of them.
    expect(Math.abs(share - 0.1)).toBeLessThan((6 * 5.5 * Math.sqrt(pushed / 10)) / 10 / pushed + 0.001);
    await platform.close();
    await rm(join(folder, "data", "monitor"), { recursive: true });
    await open(0);
    await platform.push("rides", [rowOf({ rider: "r1", city: "Oslo", fare: 1, at: clock.now() })]);
    await expect(platform.drift.report(asked)).rejects.toMatchObject({ code: "VALUES_MISSING" });
  });

  it("tell of the last whole hour of a view, and raise an alert, though nobody asked for anything", async () => {
    const receiver = await openReceiver();
    const hook = webhook("hook", { url: receiver.url });
    const on = ["folded-drift", "folded-missing-drift"] as const;
    const rules = [
      alert("moved", { on, view: riderRides, to: hook }),
      alert("of_model", { on, service: model, feature: "fare" }),
      // Most of what is folded is served, too: it is told of once.
      alert("served", { on: ["drift", "missing-drift"], to: hook }),
    ];
    const all = [...definitions, hook, ...rules];
    const alerts = { everyMicros: 50_000, answerMicros: 600e6 };
    platform = await openPlatform({
      dataDir: join(folder, "data"),
      clock,
      definitions: all,
      driftSampleRate: 1,
      alerts,
    });
    await platform.apply(all);
    await platform.serve({ port: 0 });
    try {
      const judged = async (): Promise<void> => {
        // The round that ends first may have asked before. The next has not.
        for (let round = 0; round < 2; round++) {
          clock.advanceTo((clock.now() + 1_000_000) as Micros);
          const evaluated = async () => (await platform.request("GET", "/alerts"))["evaluated_at"];
          await expect.poll(evaluated, { timeout: 120_000 }).toBe(formatMicros(clock.now()));
        }
      };
      const passHour = async (hour: number, unit: number): Promise<void> => {
        clock.advanceTo((START + hour * HOUR) as Micros);
        const rows = Array.from({ length: 120 }, (_, i) =>
          rowOf({
            rider: `r${i}`,
            city: ["Bergen", "Oslo", "Moss"][i % 3]!,
            fare: unit * (5 + (i % 30)),
            at: clock.now(),
          }),
        );
        await platform.push("rides", rows);
        // What was seen is written well before an hour is judged, two minutes after its end.
        await platform.settle();
        clock.advanceTo((START + (hour + 1) * HOUR + 3 * MINUTE) as Micros);
        await judged();
      };
      for (const hour of [0, 1, 2]) await passHour(hour, 1);
      await passHour(3, 60);
      const signals = await platform.drift.foldedSignals.signals(clock.now());
      const ofFare = signals.filter(({ subject }) => subject.feature === "fare");
      expect(ofFare.map(({ kind }) => kind)).toEqual(["folded-drift", "folded-missing-drift"]);
      expect(ofFare[0]).toMatchObject({
        subject: { view: "rider_rides@1", feature: "fare" },
        measure: "ks_p_value",
        isBeyond: true,
        samples: 120,
        windowStartMicros: START + 3 * HOUR,
        windowEndMicros: START + 4 * HOUR,
        detail: { effect_beyond: true, baseline: "the 7d before" },
      });
      expect(ofFare[0]!.subject).not.toHaveProperty("service");
      expect(await platform.drift.signals.signals(clock.now())).toEqual([]);
      expect(receiver.received).toEqual([]);
      // The second window in a row.
      await passHour(4, 60);
      await receiver.has(1);
      expect(receiver.received.map(({ json }) => json)).toMatchObject([
        {
          event: "firing",
          rule: "moved",
          count: 1,
          found: [{ kind: "folded-drift", subject: { view: "rider_rides@1", feature: "fare" } }],
        },
      ]);
      const { alerts: listed } = (await platform.request("GET", "/alerts")) as unknown as { alerts: object[] };
      expect(listed).toContainEqual(expect.objectContaining({ rule: "of_model", phase: "firing" }));
      const { sources } = (await platform.request("GET", "/alerts")) as unknown as { sources: { name: string }[] };
      expect(sources).toContainEqual(expect.objectContaining({ name: "folded-drift", error: null }));
    } finally {
      await receiver.close();
    }
  });

  it("are those of workers on Kafka, too, where their tables are named", async () => {
    const random = new SeededRandom(SEED);
    await open(1);
    await ride(random, 0, 40);
    await platform.close();
    // As workers leave them beside their tables.
    const tables = join(folder, "tables");
    await mkdir(join(tables, "monitor"), { recursive: true });
    await rename(join(folder, "data", "monitor", "drift-folded"), join(tables, "monitor", "drift-folded"));
    const dataDir = join(folder, "data");
    platform = await openPlatform({
      dataDir,
      clock,
      definitions,
      driftSampleRate: 1,
      workerTables: { folder: tables },
    });
    await ride(random, 1, 30);
    const asked = { service: "model", of: "folded", baseline: range(0, 1), current: range(0, 2) } as const;
    const report = await platform.drift.report(asked);
    expect([report.baseline.window.vectors, report.current.window.vectors]).toEqual([80, 140]);
  });

  it("are of the version that is asked for", async () => {
    const second = service("model", { version: 2, features: [riderRides.pick("fare")] });
    const both = [...definitions, second];
    const dataDir = join(folder, "data");
    platform = await openPlatform({ dataDir, clock, definitions: both, driftSampleRate: 1 });
    await platform.apply(both);
    await ride(new SeededRandom(SEED), 0, 40);
    const asked = { of: "folded", baseline: range(0, 1), current: range(0, 1) } as const;
    const featuresOf = async (version: string): Promise<readonly string[]> =>
      (await platform.drift.report({ service: version, ...asked })).features.map(({ feature }) => feature);
    expect(await featuresOf("model@1")).toEqual(["fare", "city", "rides_1h", "city_rides"]);
    expect(await featuresOf("model@2")).toEqual(["fare"]);
  });

  it("go with an entity that is forgotten", async () => {
    const toForget = [rider, rides, riderRides, service("model", { features: [riderRides] })];
    const dataDir = join(folder, "data");
    platform = await openPlatform({ dataDir, clock, definitions: toForget, driftSampleRate: 1 });
    await platform.apply(toForget);
    await ride(new SeededRandom(SEED), 0, 5);
    await platform.settle();
    const kept = join(dataDir, "monitor", "drift-folded");
    expect(await readdir(kept)).toEqual(["rider_rides@1"]);
    await platform.forget("rider", ["r1"]);
    expect(await readdir(kept)).toEqual([]);
  });
});
