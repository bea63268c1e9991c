/** Freshness of a platform that is used: what is counted is what a look at every entity gives, across restarts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, last, service, stream, t, view } from "../../../src/index.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { ride_id: t.string(), rider_id: t.string(), at: t.timestamp(), stars: t.int64().nullable() },
  eventTime: "at",
  id: "ride_id",
  sla: { silence: "10m" },
});
const riderRides = view("rider_rides", {
  entity: rider,
  source: rides,
  features: { rides: count(), stars: last("stars").default(3) },
  sla: { pipelineAge: "30s", entityAge: { within: "1h", atLeast: 0.5 } },
});
const definitions = [rider, rides, riderRides, service("model", { features: [riderRides] })];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: folder, clock, definitions });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  await open();
  await platform.apply(definitions);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

let rideCount = 0;
function ride(riderId: string, at: number): object {
  return { ride_id: String(++rideCount), rider_id: riderId, at: formatMicros(at as Micros), stars: null };
}

describe("entities by age", () => {
  it(
    `are those that a look at each gives, whatever is pushed, taken back, forgotten, rebuilt and restarted (seed ${SEED})`,
    { timeout: 240_000 },
    async () => {
      const random = new SeededRandom(SEED);
      const below = (limit: number): number => Math.floor(random.next() * limit);
      /** Of each rider, times by the ride's id. */
      const ridden = new Map<string, Map<string, number>>();
      for (let round = 0; round < 9; round++) {
        const now = clock.now();
        const rows = Array.from({ length: 1 + below(40) }, () => {
          const [riderId, at] = [`r${below(60)}`, now - Math.floor(10 ** (random.next() * 13))];
          const row = ride(riderId, at);
          ridden.set(riderId, (ridden.get(riderId) ?? new Map<string, number>()).set(String(rideCount), at));
          return row;
        });
        await platform.push("rides", rows);
        if (round % 4 === 1) await platform.backfill({ name: "rider_rides", version: 1 });
        if (round === 6) {
          const [first] = ridden.keys();
          await platform.forget("rider", [first!]);
          ridden.delete(first!);
        }
        if (round % 3 === 1) {
          const [, rides] = [...ridden][below(ridden.size)]!;
          const [id] = [...rides].toSorted(([, a], [, b]) => b - a)[0] ?? [];
          if (id !== undefined) await platform.correct("rides", [{ op: "retract", id }]);
          rides.delete(id!);
        }
        if (round % 3 === 2) {
          await platform.close();
          await open();
        }
        clock.advanceTo((now + Math.floor(10 ** (random.next() * 11))) as Micros);
        await platform.settle();
        const [seen] = (await platform.freshness({ oldest: 3 })).views;
        const lastEvents = new Map(
          [...ridden].flatMap(([id, times]) => (times.size === 0 ? [] : [[id, Math.max(...times.values())] as const])),
        );
        expect(seen!.entities).toBe(lastEvents.size);
        const present = clock.now();
        const naive = seen!.entities_by_age.map(({ up_to_seconds: seconds }) => {
          const edge = seconds === null ? Number.NEGATIVE_INFINITY : present - Math.round(seconds * 1e6);
          return { up_to_seconds: seconds, entities: [...lastEvents.values()].filter((time) => time >= edge).length };
        });
        expect(seen!.entities_by_age).toEqual(naive);
        const oldest = [...lastEvents].sort(([, a], [, b]) => a - b).slice(0, 3);
        expect(seen!.oldest_entities!.map(({ last_event_at }) => last_event_at)).toEqual(
          oldest.map(([, at]) => formatMicros(at as Micros)),
        );
      }
    },
  );
});

describe("what is promised", () => {
  it("of a source's silence is broken when nothing has come for longer, since then, and until something comes", async () => {
    await platform.push("rides", [ride("ana", START)]);
    const silence = async (): Promise<unknown> => {
      const [source] = (await platform.freshness()).sources;
      const { broken, broken_since: since } = source!.silence_sla_seconds!;
      return [source!.silence_seconds, broken, since];
    };
    clock.advanceTo((START + 10 * MINUTE) as Micros);
    expect(await silence()).toEqual([600, false, null]);
    clock.advanceTo((START + 11 * MINUTE) as Micros);
    expect(await silence()).toEqual([660, true, "2026-03-01T00:10:00Z"]);
    // Nobody was there to see it go on, but the events say when it began.
    await platform.close();
    clock.advanceTo((START + 30 * MINUTE) as Micros);
    await open();
    expect(await silence()).toEqual([1800, true, "2026-03-01T00:10:00Z"]);
    await platform.push("rides", [ride("ben", clock.now())]);
    expect(await silence()).toEqual([0, false, null]);
    const [source] = (await platform.freshness()).sources;
    expect(source!.silence_sla_seconds!.broken_ratio_24h).toBeCloseTo(20 / (24 * 60), 9);
  });

  it("of entities is a share of them that is no older, and the oldest are named", async () => {
    await platform.push("rides", [ride("ana", START - 120 * MINUTE), ride("ben", START - 90 * MINUTE)]);
    await platform.push("rides", [ride("cem", START), ride("dia", START)]);
    await platform.settle();
    const stale = async (): Promise<unknown> => {
      const [one] = (await platform.freshness()).views;
      return [one!.stale_ratio, one!.older_than_seconds, one!.stale_ratio_sla!.threshold, one!.stale_ratio_sla!.broken];
    };
    expect(await stale()).toEqual([0.5, 3600, 0.5, false]);
    clock.advanceTo((START + 75 * MINUTE) as Micros);
    expect(await stale()).toEqual([1, 3600, 0.5, true]);
    const [one] = (await platform.freshness({ oldest: 2 })).views;
    expect(one!.oldest_entities).toMatchObject([{ key: "ana", age_seconds: 195 * 60 }, { key: "ben" }]);
  });

  it("may change under the version of a view, and holds from then on", async () => {
    await platform.push("rides", [ride("ana", START - 120 * MINUTE)]);
    await platform.settle();
    expect((await platform.freshness()).views[0]!.stale_ratio_sla!.broken).toBe(true);
    const laxer = view("rider_rides", {
      entity: rider,
      source: rides,
      features: { rides: count(), stars: last("stars").default(3) },
      sla: { entityAge: "1d" },
    });
    const plan = await platform.apply([rider, rides, laxer]);
    expect(
      plan.changes.filter(({ change }) => change !== "unchanged").map(({ change, name }) => [change, name]),
    ).toEqual([["change", "rider_rides@1"]]);
    const [seen] = (await platform.freshness()).views;
    expect(seen!.stale_ratio_sla).toMatchObject({ threshold: 0, broken: false });
    expect(seen!.pipeline_age_sla_seconds).toBe(null);
  });
});
