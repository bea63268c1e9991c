/** Two versions of a service side by side: fitted, served, trained and audited, each as if it were alone. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, last, service, standardize, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), ended_at: t.timestamp(), fare: t.float64() },
  eventTime: "ended_at",
});
const first = view("rider_rides", { version: 1, entity: rider, source: rides, features: { fare: last("fare") } });
const second = view("rider_rides", {
  version: 2,
  entity: rider,
  source: rides,
  features: { fare: last("fare"), rides: count().over("1h") },
});
const scaled = service("fares", { features: [first], transform: { fare: standardize("fare") } });
const wider = service("fares", { version: 2, features: [second], transform: { fare: standardize("fare") } });
const definitions = [rider, rides, first, second, scaled, wider];

let folder: string;
let clock: ReplayClock;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  const sampled = { servingLogSampleRate: 1, driftSampleRate: 1 };
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, ...sampled });
  await platform.apply(definitions);
  for (let i = 0; i < 6; i++) {
    clock.advanceTo((START + i * MINUTE) as Micros);
    await platform.push("rides", [
      { rider_id: i % 2 === 0 ? "a" : "b", ended_at: { micros: clock.now() }, fare: 10 + i },
    ]);
  }
  clock.advanceTo((START + 10 * MINUTE) as Micros);
  await platform.settle();
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function labels(name: string, columns: string, rows: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `${[columns, ...rows].join("\n")}\n`);
  return path;
}

it("have fits of their own, and are computed by those", async () => {
  const path = await labels("labels.csv", "rider_id,label_time", [
    "a,2026-03-01T00:04:30Z",
    "b,2026-03-01T00:05:30Z",
    "b,2026-03-01T00:02:30Z",
  ]);
  const fit = { labels: path, split: { share: 1 }, boundary: "inclusive" } as const;
  const fitted = await platform.fit({ ...fit, service: "fares@1" });
  const other = await platform.fit({ ...fit, service: "fares@2" });
  expect([fitted.version, other.version]).toEqual([1, 1]);
  expect(platform.fits("fares@1").map(({ sha256 }) => sha256)).toEqual([fitted.sha256]);
  expect(platform.fits("fares").map(({ sha256 }) => sha256)).toEqual([other.sha256]);

  const tokens: string[] = [];
  const served: (readonly unknown[])[] = [];
  for (const name of ["fares@1", "fares@2"]) {
    const { features, metadata } = await platform.vector(name, { rider_id: "a" }, { token: true });
    tokens.push(String((metadata as Record<string, unknown>)["token"]));
    served.push(Object.values(features));
  }
  expect(served.map((values) => values.length)).toEqual([1, 2]);

  // Rows as served go by the fit and the definition of the version that served them.
  for (const [i, name] of ["fares@1", "fares@2"].entries()) {
    const set = await platform.train({
      service: name,
      labels: await labels(`served-${i}.csv`, "rider_id,token", [`a,${tokens[i]}`]),
      knowledge: "as-served",
    });
    expect(set.columns.map((column) => column.value(0))).toEqual(served[i]);
    expect(set.manifest.services[0]).toMatchObject({ name: ["fares", "fares@2"][i], fit: { version: 1 } });
  }

  // One set of both: what is called alike has its version before it.
  const both = await platform.train({
    service: ["fares@1", "fares@2"],
    fit: { "fares@1": 1 },
    labels: path,
    boundary: "inclusive",
  });
  expect(both.manifest.features.map(({ name }) => name)).toEqual(["fares__fare", "fares@2__fare", "rides"]);
  await expect(
    platform.train({ service: ["fares", "fares@2"], labels: path, boundary: "inclusive" }),
  ).rejects.toMatchObject({ code: "REQUEST_INVALID" });

  const report = await platform.audit();
  expect(report).toMatchObject({ clean: true, vectors: 2 });

  const drift = await platform.drift.report({ service: "fares@2", baseline: "fit:1", current: "last:1h" });
  expect(drift.current.window).toMatchObject({ service: "fares@2", fit: 1, vectors: 1 });
  expect(await platform.drift.services()).toEqual(["fares@1", "fares@2"]);
});
