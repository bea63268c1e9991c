/** A version that is not fitted would fail every request: no name and no unit is given to it while another answers. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { entity, experiment, last, service, standardize, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const UNFITTED = { code: "SERVICE_NOT_FITTED" };
const BY = { by: "ada" };

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64() },
  eventTime: "ended_at",
});
const fares = view("rider_rides", { entity: rider, source: rides, features: { fare: last("fare") } });
const plain = service("fares", { features: [fares] });
const scaled = service("fares", { version: 2, features: [fares], transform: { fare: standardize("fare") } });
const other = service("other", { features: [fares], transform: { fare: standardize("fare") } });
const trial = experiment("trial", { service: [plain, scaled], weights: [1, 0], unit: rider });
const definitions = [rider, rides, fares, plain, scaled, other, trial];

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  const clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions.slice(0, 4));
  await platform.versions.promote("fares@1", BY);
  await platform.apply(definitions);
  for (let i = 0; i < 4; i++) {
    clock.advanceTo((START + i * MINUTE) as Micros);
    await platform.push("rides", [{ rider_id: "a", ended_at: { micros: clock.now() }, fare: 10 + i }]);
  }
  clock.advanceTo((START + 10 * MINUTE) as Micros);
  await platform.settle();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function answered(name: string): Promise<unknown> {
  return (await platform.vector(name, { rider_id: "a" })).features["fare"];
}

it("is given no name and no unit before it is fitted, and then is", async () => {
  await expect(platform.versions.promote("fares@2", BY)).rejects.toMatchObject(UNFITTED);
  await expect(platform.experiments.ramp("trial", { weights: [1, 1], ...BY })).rejects.toMatchObject(UNFITTED);
  await expect(platform.experiments.stop("trial", { serve: "fares@2", ...BY })).rejects.toMatchObject(UNFITTED);
  expect([await answered("fares"), await answered("trial")]).toEqual([13, 13]);
  // Nobody asks by that alias yet.
  await platform.versions.promote("fares@2", { as: "next", ...BY });
  const labels = join(folder, "labels.csv");
  await writeFile(labels, "rider_id,label_time\na,2026-03-01T00:00:30Z\na,2026-03-01T00:02:30Z\n");
  await platform.fit({ service: "fares@2", labels, split: { share: 1 }, boundary: "inclusive" });
  await platform.versions.promote("fares@2", BY);
  await platform.experiments.ramp("trial", { weights: [0, 1], ...BY });
  expect([await answered("fares"), await answered("trial")]).toEqual([2, 2]);
  await platform.versions.rollback("fares", BY);
  await platform.experiments.stop("trial", { serve: "fares@1", ...BY });
  expect([await answered("fares"), await answered("trial")]).toEqual([13, 13]);
});

it("is given a name where the name means nothing better", async () => {
  await platform.versions.promote("other@1", BY);
  await expect(answered("other")).rejects.toMatchObject(UNFITTED);
});
