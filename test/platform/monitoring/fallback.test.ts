/** What is served while a promise of freshness is broken: said with the vector, and the same in training and audit. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import { count, entity, last, service, stream, sum, t, view, type ViewSlaOptions } from "../../../src/index.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), fare: t.float64(), stars: t.int64() },
  eventTime: "at",
  sla: { silence: "10m" },
});
function ridesView(name: string, sla?: ViewSlaOptions) {
  const features = {
    [`${name}_rides`]: count(),
    [`${name}_fare`]: sum("fare"),
    [`${name}_stars`]: last("stars").default(3),
  };
  return view(name, { entity: rider, source: rides, features, ...(sla === undefined ? {} : { sla }) });
}
const views = [
  ridesView("plain"),
  ridesView("nulls", { fallback: "null" }),
  ridesView("defaults", { fallback: "default" }),
  ridesView("flags", { fallback: "flag" }),
];
const definitions = [rider, rides, ...views, service("model", { features: views })];

const FRESH = { rides: 1, fare: 8.5, stars: 5 };
const NULLS = { rides: null, fare: null, stars: null };
const DEFAULTS = { rides: null, fare: null, stars: 3 };

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
  await ride("ana");
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function ride(riderId: string): Promise<void> {
  await platform.push("rides", [{ rider_id: riderId, at: formatMicros(clock.now()), fare: 8.5, stars: 5 }]);
}

interface Answer {
  readonly features: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Over HTTP, so that kept answers are among them. */
async function ask(url: string): Promise<Answer> {
  const body = JSON.stringify({ entities: { rider_id: "ana" } });
  const headers = { "content-type": "application/json" };
  return (await (await fetch(`${url}/services/model/vector`, { method: "POST", body, headers })).json()) as Answer;
}

function of(name: string, features: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(["rides", "fare", "stars"].map((one) => [one, features[`${name}_${one}`]]));
}

async function later(minutes: number): Promise<void> {
  clock.advanceTo((START + minutes * MINUTE) as Micros);
  await platform.freshness();
}

describe("a view's fallback", () => {
  it("is served while its source is silent for longer than promised, also where the answer was kept, and not any longer", async () => {
    const server = await platform.serve({ port: 0 });
    try {
      for (let i = 0; i < 3; i++) {
        const { features, metadata } = await ask(server.url);
        for (const { name } of views) expect(of(name, features)).toEqual(FRESH);
        expect(metadata).not.toHaveProperty("stale_features");
      }
      await later(11);
      for (let i = 0; i < 3; i++) {
        const { features, metadata } = await ask(server.url);
        expect(of("plain", features)).toEqual(FRESH);
        expect(of("nulls", features)).toEqual(NULLS);
        expect(of("defaults", features)).toEqual(DEFAULTS);
        expect(of("flags", features)).toEqual(FRESH);
        const stale = ["nulls", "defaults", "flags"].flatMap((view) =>
          ["rides", "fare", "stars"].map((one) => `${view}_${one}`),
        );
        expect(metadata["stale_features"]).toEqual(stale);
        expect(metadata["missing_features"]).toEqual([
          "nulls_rides",
          "nulls_fare",
          "nulls_stars",
          "defaults_rides",
          "defaults_fare",
        ]);
      }
      await ride("ben");
      await platform.freshness();
      const { features, metadata } = await ask(server.url);
      for (const { name } of views) expect(of(name, features)).toEqual(FRESH);
      expect(metadata).not.toHaveProperty("stale_features");
    } finally {
      await server.close();
    }
  });

  it("stands in the token: training on rows as served has it, bit for bit, and the audit compares with it and counts it", async () => {
    const tokens: string[] = [];
    for (const minutes of [1, 11]) {
      await later(minutes);
      const { metadata } = await platform.vector("model", { rider_id: "ana" }, { token: true });
      tokens.push(String(metadata["token"]));
    }
    const labels = join(folder, "labels.csv");
    await writeFile(labels, `rider_id,token\n${tokens.map((token) => `ana,${token}\n`).join("")}`);
    const out = join(folder, "set.parquet");
    await platform.train({ service: "model", labels, out, knowledge: "as-served" });
    const engine = await openDuckDb();
    try {
      const rows = await engine.rows(`SELECT * FROM '${out}'`);
      const asNumbers = rows.map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]),
        ),
      );
      for (const { name } of views) expect(of(name, asNumbers[0]!)).toEqual(FRESH);
      expect(of("plain", asNumbers[1]!)).toEqual(FRESH);
      expect(of("nulls", asNumbers[1]!)).toEqual(NULLS);
      expect(of("defaults", asNumbers[1]!)).toEqual(DEFAULTS);
      expect(of("flags", asNumbers[1]!)).toEqual(FRESH);
    } finally {
      await engine.close();
    }
    const report = await platform.audit();
    expect(report).toMatchObject({ vectors: 2, compared: 24, mismatched: 0, missing: 0, fellBack: 6, clean: true });
  });
});
