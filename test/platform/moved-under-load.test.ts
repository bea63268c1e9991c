/**
 * A name moved to another version, and back, while requests are answered: each is of one version wholly, none fails, and the
 * states of both versions are those of a platform that had that version alone.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, type Definition, entity, last, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 41);
const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;
const RIDERS = ["a", "b", "c", "d"];

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64() },
  eventTime: "ended_at",
});
const first = view("rider_rides", {
  version: 1,
  entity: rider,
  source: rides,
  features: { fare: last("fare"), rides: count().over("1h") },
});
const second = view("rider_rides", {
  version: 2,
  entity: rider,
  source: rides,
  features: { total: sum("fare").over("2h"), rides: count().over("2h") },
});
const fares = service("fares", { features: [first] });
const fares2 = service("fares", { version: 2, features: [second] });
const base: readonly Definition[] = [rider, rides];

interface Ride {
  readonly rider_id: string;
  readonly at: number;
  readonly fare: number;
}

let folder: string;
const opened: Platform[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((platform) => platform.close()));
  await rm(folder, { recursive: true, force: true });
});

async function open(name: string, definitions: readonly Definition[], clock: ReplayClock): Promise<Platform> {
  const platform = await openPlatform({ dataDir: join(folder, name), clock, definitions, servingLogSampleRate: 1 });
  opened.push(platform);
  await platform.apply(definitions);
  return platform;
}

function pushed(platform: Platform, clock: ReplayClock, { rider_id, at, fare }: Ride): Promise<unknown> {
  clock.advanceTo((START + at * SECOND) as Micros);
  return platform.push("rides", [{ rider_id, ended_at: { micros: clock.now() }, fare }]);
}

function statesOf(platform: Platform, version: number): string[] {
  return Array.from(
    platform.exportStates("rider_rides", version),
    ({ key, bytes }) => `${key} ${Buffer.from(bytes).toString("hex")}`,
  );
}

describe("a name that is moved while it is asked for", () => {
  it(`is of one version wholly in every answer, and a rollback loses no state (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const history = Array.from({ length: 120 }, (_, i): Ride => {
      return { rider_id: random.pick(RIDERS), at: 30 * i, fare: random.integer(1, 99) / 4 };
    });
    const clock = new ReplayClock(START);
    const platform = await open("both", [...base, first, fares], clock);
    await platform.versions.promote("fares@1", { by: "ada" });
    for (const ride of history.slice(0, 30)) await pushed(platform, clock, ride);
    // Registered under load, it is nobody's before it is promoted.
    await platform.apply([...base, first, second, fares, fares2]);

    const server = await platform.serve({ port: 0 });
    const seen = { fares: 0, "fares@2": 0 };
    const over = new AbortController();
    const fail = (text: string): never => {
      throw new Error(text);
    };
    const ask = async (): Promise<void> => {
      const entities = RIDERS.map((rider_id) => ({ rider_id }));
      while (!over.signal.aborted) {
        const response = await fetch(`${server.url}/services/fares/vectors`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ entities, token: true }),
        });
        const text = await response.text();
        if (response.status !== 200) fail(text);
        const { service: name, results } = JSON.parse(text) as {
          service: keyof typeof seen;
          results: { features: object }[];
        };
        const names = new Set(results.map(({ features }) => Object.keys(features).join()));
        if (names.size !== 1) fail(`one answer has ${[...names].join(" and ")}`);
        const wanted = name === "fares" ? "fare,rides" : "total,rides";
        if (!names.has(wanted)) fail(`${name} has ${[...names].join()}`);
        seen[name]++;
      }
    };
    const asking = Array.from({ length: 4 }, ask);
    const gone = Promise.all(asking);
    gone.catch(() => undefined);

    const moves = ["promote", "rollback", "promote", "rollback", "promote"] as const;
    for (const [i, move] of moves.entries()) {
      for (const ride of history.slice(30 + 18 * i, 30 + 18 * (i + 1))) await pushed(platform, clock, ride);
      const before = { ...seen };
      if (move === "promote") await platform.versions.promote("fares@2", { from: 1, by: "ada" });
      else await platform.versions.rollback("fares", { by: "ada" });
      const now = move === "promote" ? "fares@2" : "fares";
      while (seen[now] < before[now] + 8) await Promise.race([setTimeout(5), gone]);
    }
    over.abort();
    await gone;
    expect(Math.min(seen.fares, seen["fares@2"])).toBeGreaterThan(8);
    // From its acknowledgement on, every answer is of the version that it was moved to.
    expect(((await platform.vector("fares", { rider_id: "a" })) as unknown as { service: string }).service).toBe(
      "fares@2",
    );
    await platform.settle();
    await server.close();
    expect(await platform.audit()).toMatchObject({ clean: true, mismatched: 0, missing: 0 });
    expect(platform.registry.aliasMoves().map(({ to }) => to)).toEqual([1, 2, 1, 2, 1, 2]);

    for (const [version, one, of] of [
      [1, first, fares],
      [2, second, fares2],
    ] as const) {
      const aloneClock = new ReplayClock(START);
      const alone = await open(`alone-${version}`, [...base, one, of], aloneClock);
      for (const ride of history) await pushed(alone, aloneClock, ride);
      await alone.settle();
      expect(statesOf(platform, version)).toEqual(statesOf(alone, version));
      const asked = { rider_id: "b" };
      clock.advanceTo((START + 4000 * SECOND) as Micros);
      aloneClock.advanceTo((START + 4000 * SECOND) as Micros);
      expect((await platform.vector(`fares@${version}`, asked)).features).toEqual(
        (await alone.vector(`fares@${version}`, asked)).features,
      );
    }
  });
});
