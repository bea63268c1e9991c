/** Features by what is known of them: the important ones that drift, the expensive ones of no use; over HTTP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, last, service, stream, t, view } from "../../../src/index.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const HOUR = 3_600_000_000;
const RIDERS = 150;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: {
    rider_id: t.string(),
    at: t.timestamp(),
    fare: t.float64(),
    tip: t.float64().nullable(),
    city: t.string(),
  },
  eventTime: "at",
});
const riderRides = view("rider_rides", {
  version: 1,
  entity: rider,
  source: rides,
  features: { fare: last("fare"), tip: last("tip").over("1h"), city: last("city"), rides: count().over("1h") },
});
const old = view("old", { version: 1, entity: rider, source: rides, features: { rides_7d: count().over("7d") } });
// Under other names than the view's.
const fares = service("fares", { features: [riderRides.prefix("rider_")] });
const definitions = [rider, rides, riderRides, old, fares];
const next = service("fares", { version: 2, features: [old] });

let folder: string;
let clock: ReplayClock;
let platform: Platform;
const random = new SeededRandom(5);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-feature-list-"));
  clock = new ReplayClock(START);
  await open();
  await platform.apply(definitions);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: folder, clock, definitions, driftSampleRate: 1, alerts: false });
}

/** Each rider rides once, and is then read once. */
async function serve(hour: number, url: string, { unit = 1, tipless = 0 } = {}): Promise<void> {
  clock.advanceTo((START + hour * HOUR) as Micros);
  const rows = Array.from({ length: RIDERS }, (_, i) => ({
    rider_id: `r${i}`,
    at: { micros: START + hour * HOUR },
    fare: unit * (8 + 4 * (random.next() + random.next())),
    tip: random.next() < tipless ? null : random.next(),
    city: random.pick(["bern", "genf", "zug"]),
  }));
  await platform.push("rides", rows);
  const entities = rows.map(({ rider_id }) => ({ rider_id }));
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ entities });
  expect((await fetch(`${url}/services/fares/vectors`, { method: "POST", body, headers })).status).toBe(200);
}

type Listed = Readonly<Record<string, any>>;

async function list(query: string): Promise<readonly Listed[]> {
  return ((await platform.request("GET", `/registry/features?${query}`)) as { features: readonly Listed[] }).features;
}

const names = (features: readonly Listed[]): unknown[] => features.map(({ feature }) => feature);

describe("features", () => {
  it("are listed by importance, drift, cost and usage, and those alone that drift or are of no use", async () => {
    let server = await platform.serve({ port: 0 });
    for (const hour of [0, 1, 2]) await serve(hour, server.url);
    const importances = { rider_fare: 2, rider_rides: 3, rider_city: 0.02, rider_tip: 1 };
    await platform.request("POST", "/services/fares/importances", { importances });
    await platform.request("POST", "/drift/fares/baseline", { source: "last:3h" });
    expect(await list("only=drifting")).toEqual([]);
    clock.advanceTo((START + 30 * HOUR) as Micros);
    await serve(30, server.url, { unit: 60, tipless: 0.6 });
    // Usage is written down once a minute, and when the folder is closed.
    await server.close();
    await platform.close();
    await open();
    server = await platform.serve({ port: 0 });

    const drifting = await list("only=drifting");
    expect(names(drifting)).toEqual(["fare", "tip"]);
    const total = 6.02;
    expect(drifting[0]).toMatchObject({
      view: "rider_rides@1",
      entity: "rider",
      type: "float64",
      importance: 2 / total,
    });
    expect(drifting[0]!["drift"]).toMatchObject({ service: "fares", as: "rider_fare", effect: 1, drifting: true });
    expect(drifting[1]!["drift"]).toMatchObject({ drifting: true, missing_before: 0 });
    expect(drifting[1]!["drift"].effect).toBeCloseTo(drifting[1]!["drift"].missing_now, 12);

    const useless = await list("only=useless");
    expect(names(useless).toSorted()).toEqual(["city", "rides_7d"]);
    const [first, second] = useless.map((one) => one["cost"].view_cpu_seconds as number);
    expect(first).toBeGreaterThanOrEqual(second!);
    expect(useless.find(({ feature }) => feature === "rides_7d")).toMatchObject({
      usage: { reads: 0 },
      importance: null,
    });
    expect(useless.find(({ feature }) => feature === "city")).toMatchObject({
      usage: { reads: 4 * RIDERS },
      importance: 0.02 / total,
    });
    expect(names(await list("only=unused"))).toEqual(["rides_7d"]);
    expect(names(await list("by=importance,drift&view=rider_rides"))).toEqual(["rides", "fare", "tip", "city"]);
    await expect(list("view=rider_ride")).rejects.toMatchObject({ code: "VIEW_UNKNOWN", candidates: ["rider_rides"] });
    await expect(list("entity=ridr")).rejects.toMatchObject({ code: "ENTITY_UNKNOWN", candidates: ["rider"] });
    const byDrift = await list("by=drift");
    expect(names(byDrift).slice(0, 2)).toEqual(["fare", "tip"]);
    // Nobody is served it: nothing is known, and it comes last.
    expect(byDrift.at(-1)).toMatchObject({ feature: "rides_7d", drift: null });
    const asked = await fetch(`${server.url}/registry/features?only=drifting&entity=rider`);
    expect(names(((await asked.json()) as { features: Listed[] }).features)).toEqual(["fare", "tip"]);
    for (const wrong of ["by=price", "only=good", "days=0"]) {
      expect((await fetch(`${server.url}/registry/features?${wrong}`)).status, wrong).toBe(400);
    }
    await server.close();
  });

  it("drift in a version that its name no longer means, too", async () => {
    const server = await platform.serve({ port: 0 });
    for (const hour of [0, 1, 2]) await serve(hour, server.url);
    await platform.request("POST", "/drift/fares/baseline", { source: "last:3h" });
    clock.advanceTo((START + 30 * HOUR) as Micros);
    await serve(30, server.url, { unit: 60 });
    await platform.apply([...definitions, next]);
    await platform.vector("fares", { rider_id: "r1" });

    const drifting = await list("only=drifting");
    expect(names(drifting)).toEqual(["fare"]);
    expect(drifting[0]!["drift"]).toMatchObject({ service: "fares", as: "rider_fare", drifting: true });
    // What was seen is written down for a report.
    expect(await platform.request("GET", "/drift")).toEqual({ services: ["fares@1", "fares@2"] });
    await server.close();
  });
});
