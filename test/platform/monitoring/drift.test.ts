/** Drift of a platform's own values: served, logged, folded and in training sets, against what they were. */
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, last, service, standardize, stream, t, view } from "../../../src/index.ts";
import type { ReportedFeature } from "../../../src/monitor/drift/drift-report.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import type { PlatformOptions } from "../../../src/platform/platform-options.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 29);
const START = parseMicros("2026-03-01T00:00:00Z");
const HOUR = 3_600_000_000;
const RIDERS = 150;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: {
    rider_id: t.string(),
    ended_at: t.timestamp(),
    fare: t.float64().nullable(),
    city: t.string(),
    tip: t.float64().nullable(),
  },
  eventTime: "ended_at",
});
const riderRides = view("rider_rides", {
  version: 1,
  entity: rider,
  source: rides,
  features: { fare: last("fare"), city: last("city"), tip: last("tip").over("1h"), rides: count().over("1h") },
});
const fares = service("fares", { features: [riderRides] });
const scaled = service("scaled", { features: [riderRides.pick("fare")], transform: { fare: standardize("fare") } });
const definitions = [rider, rides, riderRides, fares, scaled];

let folder: string;
let clock: ReplayClock;
let random: SeededRandom;
let platform: Platform;

async function open(options: Partial<PlatformOptions> = {}): Promise<void> {
  const sampled = { servingLogSampleRate: 1, driftSampleRate: 1 };
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, ...sampled, ...options });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  random = new SeededRandom(SEED);
  await open();
  await platform.apply(definitions);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function at(hours: number): Micros {
  return (START + hours * HOUR) as Micros;
}

function time(hours: number): string {
  return new Date(at(hours) / 1000).toISOString();
}

interface Hour {
  /** Minutes to seconds. */
  readonly unit?: number;
  readonly cities?: readonly string[];
  /** Part of the rides without a tip. */
  readonly untipped?: number;
}

/** Each rider rides once, and is then read once. */
async function serve(
  hour: number,
  { unit = 1, cities = ["bern", "genf", "zug"], untipped = 0.1 }: Hour = {},
): Promise<void> {
  clock.advanceTo((at(hour) + 60_000_000) as Micros);
  const rows = Array.from({ length: RIDERS }, (_, i) => ({
    rider_id: `r${i}`,
    ended_at: { micros: at(hour) },
    fare: unit * (8 + 4 * (random.next() + random.next() + random.next())),
    city: random.pick(cities),
    tip: random.next() < untipped ? null : random.integer(1, 9),
  }));
  expect((await platform.push("rides", rows)).accepted).toBe(RIDERS);
  for (let i = 0; i < RIDERS; i++) await platform.vector("fares", { rider_id: `r${i}` });
}

function named(features: readonly ReportedFeature[], name: string): ReportedFeature {
  return features.find(({ feature }) => feature === name)!;
}

function drifted(features: readonly ReportedFeature[]): string[] {
  return features.filter(({ isDrifted }) => isDrifted).map(({ feature }) => feature);
}

const BEFORE = `range:${time(0)}..${time(3)}`;
const CHANGED: Hour = { unit: 60, cities: ["bern", "genf"], untipped: 0.6 };

describe("drift detection", () => {
  it("finds a unit that changed, a category that vanished and values that are missing, and nothing else", async () => {
    for (const hour of [0, 1, 2]) await serve(hour);
    await serve(3);
    // Four tests at 0.05 would err in every fifth run.
    const settings = { threshold: 1e-6, missingThreshold: 1e-6 };
    const quiet = await platform.drift.report({ service: "fares", baseline: BEFORE, current: "last:1h", settings });
    expect(drifted(quiet.features)).toEqual([]);
    expect([quiet.baseline.window.vectors, quiet.current.window.vectors]).toEqual([3 * RIDERS, RIDERS]);
    await serve(4, CHANGED);
    const report = await platform.drift.report({
      service: "fares",
      baseline: BEFORE,
      current: `range:${time(4)}..${time(5)}`,
    });
    expect(drifted(report.features)).toEqual(["fare", "city", "tip"]);
    expect(named(report.features, "fare").judged).toMatchObject({ measure: "ks", isBeyond: true });
    expect(named(report.features, "fare").judged!.effect.value).toBeGreaterThan(0.9);
    expect(named(report.features, "city").judged).toMatchObject({ measure: "chisquare", isBeyond: true });
    expect(named(report.features, "tip").missing).toMatchObject({ isDrifted: true });
    expect(report.isDrifted).toBe(true);
  });

  it("of sketches is that of every value, within its bounds, and is there after a restart", async () => {
    for (const hour of [0, 1, 2]) await serve(hour);
    await serve(3, CHANGED);
    const sides = { service: "fares", baseline: BEFORE, current: `range:${time(3)}..${time(4)}` };
    const sketched = await platform.drift.report(sides);
    await platform.settle();
    const exact = await platform.drift.report({ ...sides, exact: true });
    expect(exact.features.map(({ feature }) => feature)).toEqual(["fare", "city", "tip", "rides"]);
    for (const { feature, judged, missing } of exact.features) {
      const other = named(sketched.features, feature);
      expect(other.missing).toEqual(missing);
      expect(other.judged!.measure).toBe(judged!.measure);
      expect(judged!.value).toBeGreaterThanOrEqual(other.judged!.low! - 1e-9);
      expect(judged!.value).toBeLessThanOrEqual(other.judged!.high! + 1e-9);
    }
    await platform.close();
    await open();
    const again = await platform.drift.report(sides);
    expect(again.features).toEqual(sketched.features);
    const kept = join(folder, "data", "monitor", "drift", "fares");
    expect((await readdir(join(kept, "0"))).sort()).toEqual([0, 1, 2, 3].map((hour) => `2026-03-01T0${hour}.json`));
    // What is damaged is as if it were not there.
    await writeFile(join(kept, "0", "2026-03-01T00.json"), "{");
    expect((await platform.drift.report(sides)).baseline.window.vectors).toBe(2 * RIDERS);
  });

  it("adds to an hour that was begun before a restart", async () => {
    await serve(0);
    await platform.close();
    await open();
    await serve(0);
    const { current } = await platform.drift.report({ service: "fares", baseline: "last:1h", current: "last:1h" });
    expect(current.window.vectors).toBe(2 * RIDERS);
  });

  it("compares with training sets, with what was folded and with what a fit was fitted to", async () => {
    for (const hour of [0, 1]) await serve(hour);
    await serve(2, CHANGED);
    const labels = join(folder, "labels.csv");
    const rows = Array.from({ length: RIDERS }, (_, i) => `r${i},${time(1.5)}`);
    await writeFile(labels, `rider_id,event_timestamp\n${rows.join("\n")}\n`);
    const out = join(folder, "set.parquet");
    await platform.train({ service: "fares", labels, out });
    await mkdir(join(folder, "data", "training-sets", "first"), { recursive: true });
    await cp(out, join(folder, "data", "training-sets", "first", "set.parquet"));

    const current = `range:${time(2)}..${time(3)}`;
    const byFile = await platform.drift.report({ service: "fares", baseline: `file:${out}`, current });
    const byTraining = await platform.drift.report({
      service: "fares",
      baseline: "training:first",
      current,
      exact: true,
    });
    expect(drifted(byFile.features)).toEqual(["fare", "city", "tip"]);
    expect(byFile.baseline.window.vectors).toBe(RIDERS);
    expect(byTraining.features.map(({ judged }) => judged!.value)).toEqual(
      byFile.features.map(({ judged }) => judged!.value),
    );

    // Closes the minute.
    await serve(3, CHANGED);
    await platform.settle();
    const folded = await platform.drift.report({
      service: "fares",
      baseline: `folded:${time(0)}..${time(2)}`,
      current: `folded:${time(2)}..${time(3)}`,
    });
    expect(named(folded.features, "fare").reference.count).toBe(2 * RIDERS);
    expect(drifted(folded.features)).toEqual(["fare", "city", "tip"]);

    await platform.fit({ service: "scaled", labels, split: { share: 1 } });
    for (let i = 0; i < RIDERS; i++) await platform.vector("scaled", { rider_id: `r${i}` });
    const fitted = await platform.drift.report({ service: "scaled", baseline: "fit:1", current: "last:1h" });
    expect(fitted.current.window.vectors).toBe(RIDERS);
    expect(fitted.current.window.fit).toBe(1);
    expect(named(fitted.features, "fare").reference).toMatchObject({ count: RIDERS, missing: 0 });
    expect(Math.abs((named(fitted.features, "fare").reference as { mean: number }).mean)).toBeLessThan(1e-9);
    expect(drifted(fitted.features)).toEqual(["fare"]);
    // A set of several services has columns of its own names; this one's are found by the manifest.
    const both = join(folder, "both.parquet");
    await platform.train({ service: ["fares", "scaled"], labels, out: both });
    const byBoth = await platform.drift.report({ service: "scaled", baseline: `file:${both}`, current: "last:1h" });
    expect(byBoth.features[0]!.judged!.value).toBe(fitted.features[0]!.judged!.value);
    await writeFile(labels, "rider_id,event_timestamp\n");
    await expect(
      platform.drift.report({ service: "scaled", baseline: "fit:1", current: "last:1h" }),
    ).rejects.toMatchObject({
      code: "VALUES_MISSING",
    });
  });

  it("compares with the train split of a fit alone, and with none where it is not known which rows that were", async () => {
    await serve(0);
    await serve(1, CHANGED);
    clock.advanceTo(at(2));
    const labels = join(folder, "labels.csv");
    const rows = [1.5, 0.5].flatMap((hour) =>
      Array.from({ length: RIDERS }, (_, i) => `r${i},${time(hour)},${hour < 1 ? "train" : "test"}`),
    );
    await writeFile(labels, `rider_id,event_timestamp,part\n${rows.join("\n")}\n`);
    const report = (fit: number) =>
      platform.drift.report({ service: "scaled", baseline: `fit:${fit}`, current: "last:24h" });
    for (const [i, split] of [{ column: "part", value: "train" }, { share: 0.5 }, { until: at(1) }].entries()) {
      const { split: fitted } = await platform.fit({ service: "scaled", labels, split });
      expect(fitted).toMatchObject({ rowsTrain: RIDERS, rowsTotal: 2 * RIDERS });
      await platform.vector("scaled", { rider_id: "r0" });
      const { baseline, features } = await report(i + 1);
      expect(baseline.window.vectors).toBe(RIDERS);
      const { reference } = named(features, "fare") as unknown as { readonly reference: Record<string, number> };
      expect(reference["count"]).toBe(RIDERS);
      expect(Math.abs(reference["mean"]!)).toBeLessThan(1e-9);
    }

    // As it was stored before fits kept their split.
    await platform.close();
    const path = join(folder, "data", "registry", "fits", "scaled", "1.json");
    const { content } = JSON.parse(await readFile(path, "utf8")) as { readonly content: Record<string, unknown> };
    const { trainSplit: _, ...former } = content;
    const sha256 = createHash("sha256").update(JSON.stringify(former)).digest("hex");
    await writeFile(path, JSON.stringify({ format: 1, sha256, content: former }));
    await open();
    await expect(report(1)).rejects.toMatchObject({ code: "VALUES_MISSING", where: "fit 1" });
    expect((await report(2)).baseline.window.vectors).toBe(RIDERS);
  });

  it("tells of the last whole hour as signals, against the week before or the baseline that was chosen", async () => {
    for (const hour of [0, 1, 2]) await serve(hour);
    await serve(3, CHANGED);
    clock.advanceTo(at(4));
    // The hour may still grow.
    expect((await platform.drift.signals.signals(at(4))).filter(({ isBeyond }) => isBeyond)).toEqual([]);
    await platform.drift.report({ service: "fares", current: "last:24h", baseline: BEFORE });
    const now = at(4) + 180_000_000;
    const signals = await platform.drift.signals.signals(now);
    const beyond = signals.filter(({ isBeyond }) => isBeyond);
    expect(beyond.map(({ kind, subject }) => `${kind} ${subject.feature}`)).toEqual([
      "drift fare",
      "drift city",
      "missing-drift tip",
    ]);
    expect(beyond[0]).toMatchObject({
      subject: { service: "fares", view: "rider_rides@1", feature: "fare" },
      measure: "ks_p_value",
      threshold: 0.05,
      samples: RIDERS,
      windowStartMicros: at(3),
      windowEndMicros: at(4),
      detail: { effect_measure: "ks_distance", effect_beyond: true, baseline: "the 7d before" },
    });
    expect(beyond.every(({ pValue }) => pValue! < 1e-6)).toBe(true);
    expect(JSON.parse(JSON.stringify(signals))).toEqual(signals);

    await platform.drift.choose("fares", `range:${time(3)}..${time(4)}`);
    const chosen = await platform.drift.signals.signals(now);
    expect(chosen.filter(({ isBeyond }) => isBeyond)).toEqual([]);
    expect(chosen[0]!.detail["baseline"]).toBe(`range:${time(3)}..${time(4)}`);
    expect((await platform.drift.report({ service: "fares", current: BEFORE })).baseline.source).toContain(time(3));
    await platform.drift.forgetChosen("fares");
    expect((await platform.drift.signals.signals(now)).filter(({ isBeyond }) => isBeyond)).toHaveLength(3);
  });

  it("is answered over HTTP, and never of a file that a caller names", async () => {
    for (const hour of [0, 1]) await serve(hour);
    const asked = (query: object) => platform.request("GET", `/drift?${new URLSearchParams({ ...query })}`);
    expect(await asked({})).toEqual({ services: [] });
    const report = await asked({
      service: "fares",
      baseline: BEFORE,
      current: "last:1h",
      measure: "psi",
      threshold: "0.5",
    });
    expect(await asked({})).toEqual({ services: ["fares@1"] });
    expect(report).toMatchObject({ service: "fares", baseline: { source: BEFORE, exact: false, vectors: 2 * RIDERS } });
    expect((report["features"] as object[])[0]).toMatchObject({
      feature: "fare",
      measure: "psi",
      threshold: 0.5,
      drifted: false,
    });
    const { baseline } = await platform.request("POST", "/drift/fares/baseline", { source: BEFORE });
    expect(baseline).toMatchObject({ source: BEFORE, vectors: 2 * RIDERS });
    expect(await asked({ service: "fares" })).toMatchObject({ baseline: { source: BEFORE } });
    for (const [query, code] of [
      [{ service: "nobody" }, "SERVICE_UNKNOWN"],
      [{ service: "fares", baseline: `file:${join(folder, "data", "lock")}` }, "PATH_NOT_ALLOWED"],
      [{ service: "fares", baseline: "training:../first" }, "REQUEST_INVALID"],
      [{ service: "fares", baseline: "training:none" }, "VALUES_MISSING"],
      [{ service: "fares", baseline: "since yesterday" }, "REQUEST_INVALID"],
      [{ service: "fares", baseline: `range:${time(1)}..${time(0)}` }, "REQUEST_INVALID"],
      [{ service: "fares", baseline: `range:${time(8)}..${time(9)}` }, "VALUES_MISSING"],
      [{ service: "fares", measure: "kl" }, "REQUEST_INVALID"],
    ] as const) {
      await expect(asked(query), JSON.stringify(query)).rejects.toMatchObject({ code });
    }
    await expect(
      platform.request("POST", "/drift/..%2f..%2fregistry/baseline", { source: BEFORE }),
    ).rejects.toMatchObject({
      code: "SERVICE_UNKNOWN",
    });
  });

  it("says first what is wrong with the baseline that is asked for, where nothing was served", async () => {
    const missing = join(folder, "nofile.parquet");
    for (const [baseline, told] of [
      ["foo", { code: "REQUEST_INVALID" }],
      [`range:${time(1)}..${time(0)}`, { code: "REQUEST_INVALID" }],
      [`file:${missing}`, { code: "FILE_UNREADABLE", message: expect.stringContaining(missing) as string }],
      ["training:none", { code: "VALUES_MISSING", message: expect.stringContaining("training:none") as string }],
      ["chosen", { code: "VALUES_MISSING", message: expect.stringContaining("in chosen") as string }],
    ] as const) {
      await expect(platform.drift.report({ service: "fares", baseline }), baseline).rejects.toMatchObject(told);
    }
    const sides = (baseline: string) => platform.drift.checkSides({ baseline });
    await expect(sides("foo")).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await expect(sides(`file:${missing}`)).rejects.toMatchObject({ code: "FILE_UNREADABLE", where: missing });
    await sides("last:1h");
    // Where none is asked for, what is missing is what was served.
    await expect(platform.drift.report({ service: "fares" })).rejects.toMatchObject({
      code: "VALUES_MISSING",
      message: expect.stringContaining("last:24h") as string,
    });
  });

  it("looks at its part of the vectors, those that are given again as well", async () => {
    await platform.close();
    await open({ driftSampleRate: 0.25, servingLogSampleRate: 0, keptVectorsBytes: 1_000_000 });
    const server = await platform.serve({ port: 0 });
    const body = JSON.stringify({ entities: { rider_id: "r0" } });
    const headers = { "content-type": "application/json" };
    for (let i = 0; i < 200; i++) {
      expect((await fetch(`${server.url}/services/fares/vector`, { method: "POST", body, headers })).status).toBe(200);
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const { current } = await platform.drift.report({ service: "fares", baseline: "last:1h", current: "last:1h" });
    // 50, by 6 standard deviations.
    expect(current.window.vectors).toBeGreaterThan(28);
    expect(current.window.vectors).toBeLessThan(72);
    const given = /^onefold_vectors_kept_total\{service="fares"\} (\d+)$/m.exec(metrics);
    expect(Number(given![1]) + current.window.vectors).toBeGreaterThanOrEqual(198);
    await server.close();
  });
});
