/** A batch source beside a stream, on the same entity: declared, and in nobody's way while it does not run. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { batch, count, entity, last, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp() },
  eventTime: "ended_at",
});
const ratings = batch("ratings", {
  columns: { rider_id: t.string(), rated_at: t.timestamp(), stars: t.int64() },
  eventTime: "rated_at",
  format: "parquet",
  location: "ratings/*.parquet",
  schedule: "0 3 * * *",
});
const rideCounts = view("ride_counts", { version: 1, entity: rider, source: rides, features: { rides: count() } });
const ratingView = view("rating", { version: 1, entity: rider, source: ratings, features: { stars: last("stars") } });
const model = service("model", { features: [rideCounts, ratingView] });
const definitions = [rider, rides, ratings, rideCounts, ratingView, model];

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  const clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: folder, clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
  await platform.push("rides", [{ rider_id: "ana", ended_at: "2026-03-01T00:00:00Z" }]);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a view on a batch source", () => {
  it("is left out of all features of its entity", async () => {
    expect((await platform.features("rider", "ana")).features).toEqual({ rides: 1 });
    const answer = await platform.request("GET", "/features/rider/ana");
    expect(answer["features"]).toEqual({ rides: 1 });
  });

  it("is refused by name and in a service, for good and not for now", async () => {
    const refusal = { code: "VIEW_NOT_RUN", status: 409, message: expect.stringContaining("rating@1") };
    await expect(platform.features("rider", "ana", ["stars"])).rejects.toMatchObject(refusal);
    await expect(platform.features("rider", "ana", ["rating@1:stars"])).rejects.toMatchObject(refusal);
    await expect(platform.vector("model", { rider_id: "ana" })).rejects.toMatchObject(refusal);
  });

  it("takes no part in an audit of the states, nor in readiness", async () => {
    const report = await platform.audit({ states: true });
    expect(Object.keys(report.states!)).toEqual(["ride_counts@1"]);
    expect(report.clean).toBe(true);
    expect(await platform.request("GET", "/ready")).toEqual({ status: "ready" });
    expect(await platform.deadLetters().list()).toEqual([]);
  });

  it("has a source that refuses pushes and imports with a code of its own, and no Retry-After", async () => {
    const refusal = { code: "SOURCE_IS_BATCH", status: 409 };
    await expect(platform.push("ratings", [{}])).rejects.toMatchObject(refusal);
    await expect(platform.importHistory("ratings", ["x.parquet"])).rejects.toMatchObject(refusal);
    const server = await platform.serve({ port: 0 });
    const answer = await fetch(`${server.url}/events/ratings`, { method: "POST", body: "{}" });
    expect(answer.status).toBe(409);
    expect(answer.headers.get("retry-after")).toBeNull();
    expect(await answer.json()).toMatchObject({ error: { code: "SOURCE_IS_BATCH" } });
    await server.close();
  });
});
