/**
 * Where a feature is there: served, written offline, both or neither, by its own flags within its view's.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, max, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const user = entity("user", { user_id: t.string() });
const taps = stream("taps", {
  columns: { user_id: t.string(), at: t.timestamp(), force: t.float64() },
  eventTime: "at",
});
const touch = view("touch", {
  entity: user,
  source: taps,
  features: {
    taps_1h: count().over("1h"),
    force_sum: sum("force").online(false),
    force_max: max("force").offline(false),
  },
});
const served = service("served", { features: [touch.pick("taps_1h", "force_max")] });
const trained = service("trained", { features: [touch] });
const definitions = [user, taps, touch, served, trained];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-places-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
  await platform.push("taps", [{ user_id: "u", at: "2026-03-01T00:00:00Z", force: 2.5 }]);
  clock.advanceTo((START + 120_000_000) as Micros);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a feature's own flags", () => {
  it("keep it out of what is served, by name and by service", async () => {
    expect((await platform.features("user", "u")).features).toEqual({ taps_1h: 1, force_max: 2.5 });
    await expect(platform.features("user", "u", ["force_sum"])).rejects.toMatchObject({ code: "FEATURE_UNKNOWN" });
    expect((await platform.vector("served", { user_id: "u" })).features).toEqual({ taps_1h: 1, force_max: 2.5 });
    await expect(platform.vector("trained", { user_id: "u" })).rejects.toMatchObject({ code: "FEATURE_NOT_ONLINE" });
  });

  it("keep it out of the offline feature rows", async () => {
    await platform.settle();
    const [row] = await platform.offlineRows("features/touch@1");
    expect(row).toMatchObject({ user_id: "u", taps_1h: 1, force_sum: 2.5 });
    expect(row).not.toHaveProperty("force_max");
  });

  it("stand in what is registered, and cannot give more than the view does", async () => {
    const answer = await platform.request("GET", "/registry/views/touch@1");
    expect(answer["features"]).toMatchObject([
      { name: "taps_1h", online: true, offline: true, schedule: null },
      { name: "force_sum", online: false, offline: true },
      { name: "force_max", online: true, offline: false },
    ]);
    const features = { taps: count().online(true) };
    expect(() => view("v", { entity: user, source: taps, online: false, features })).toThrow(/cannot be online/);
    expect(() => view("v", { entity: user, source: taps, features: { taps: count().schedule("0 3 * * *") } })).toThrow(
      /no schedule/,
    );
  });
});
