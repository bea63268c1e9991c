/** What servers on Redis know and keep as a server with the states does: promises of freshness, sketches, usage. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import {
  count,
  entity,
  last,
  type OnlineServer,
  openOnlineServer,
  openPlatform,
  type Platform,
  service,
  stream,
  sum,
  t,
  view,
  type ViewSlaOptions,
} from "../../../src/index.ts";
import { readUsageDays, sumDays } from "../../../src/platform/monitoring/usage-files.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");
const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;
const WAIT = { timeout: 30_000, interval: 30 };

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
  ridesView("nulls", { pipelineAge: "30s", fallback: "null" }),
  ridesView("defaults", { pipelineAge: "30s", fallback: "default" }),
  ridesView("flags", { pipelineAge: "30s", fallback: "flag" }),
];
const definitions = [rider, rides, ...views, service("model", { features: views })];

const FRESH = { rides: 1, fare: 8.5, stars: 5 };
const NULLS = { rides: null, fare: null, stars: null };
const DEFAULTS = { rides: null, fare: null, stars: 3 };

let folder: string;
let online: string;
let clock: ReplayClock;
let owner: Platform | null = null;
let server: OnlineServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-online-monitoring-"));
  online = `${await shared("redis")}/?prefix=${randomUUID()}:&timeout_ms=10000`;
  clock = new ReplayClock(START);
});
afterEach(async () => {
  await server.close();
  await owner?.close();
  await rm(folder, { recursive: true, force: true });
});

async function openOwner(): Promise<Platform> {
  owner = await openPlatform({
    dataDir: join(folder, "data"),
    clock,
    definitions,
    servingLogSampleRate: 1,
    publish: online,
  });
  return owner;
}

async function openServer(): Promise<void> {
  const dataDir = join(folder, "data");
  server = await openOnlineServer({ dataDir, online, clock, servingLogSampleRate: 1, driftSampleRate: 1 });
}

/** With one ride, which the server has, too. */
async function openBoth(): Promise<void> {
  await (await openOwner()).apply(definitions);
  await ride("ana");
  await openServer();
  await expect.poll(async () => (await ask().catch(() => null))?.features["plain_rides"], WAIT).toBe(1);
}

async function ride(riderId: string): Promise<void> {
  await owner!.push("rides", [{ rider_id: riderId, at: formatMicros(clock.now()), fare: 8.5, stars: 5 }]);
}

interface Answer {
  readonly features: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

async function ask(more: object = {}): Promise<Answer> {
  const body = { entities: { rider_id: "ana" }, metadata: true, ...more };
  return (await server.request("POST", "/services/model/vector", body)) as unknown as Answer;
}

function later(micros: number): void {
  clock.advanceTo((clock.now() + micros) as Micros);
}

const served = async (): Promise<Readonly<Record<string, unknown>>> => {
  const { features, metadata } = await ask();
  const of = (name: string) =>
    Object.fromEntries(["rides", "fare", "stars"].map((one) => [one, features[`${name}_${one}`]]));
  return {
    ...Object.fromEntries(views.map(({ name }) => [name, of(name)])),
    stale: (metadata["stale_features"] as string[] | undefined)?.length ?? 0,
  };
};
const AS_THEY_ARE = { plain: FRESH, nulls: FRESH, defaults: FRESH, flags: FRESH, stale: 0 };
const FALLEN_BACK = { plain: FRESH, nulls: NULLS, defaults: DEFAULTS, flags: FRESH, stale: 9 };

describeWithRedis("a server on Redis", () => {
  it("serves fallbacks while the owner's source is silent, says so, and not any longer", async () => {
    await openBoth();
    expect(await served()).toEqual(AS_THEY_ARE);
    later(11 * MINUTE);
    await expect.poll(served, WAIT).toEqual(FALLEN_BACK);
    // By silence alone: the owner tells again and again that it has folded all.
    const told = () => server.request("GET", "/freshness");
    await expect.poll(told, WAIT).toMatchObject({
      sources: [{ source: "rides", silence_sla_seconds: { threshold: 600, broken: true } }],
      views: [...views]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, sla }) => ({
          view: `${name}@1`,
          pipeline_age_seconds: 0,
          entities: null,
          fallback: { declared: sla?.fallback ?? null, serving: sla !== undefined },
        })),
    });
    expect(await served()).toEqual(FALLEN_BACK);
    expect(String(await server.request("GET", "/metrics"))).toContain(
      'onefold_freshness_sla_broken{kind="source-silence",source="rides",view=""} 1',
    );
    // The audit knows a fallback by the token.
    expect((await ask({ token: true })).features["nulls_fare"]).toBeNull();
    await ride("ben");
    await expect.poll(served, WAIT).toEqual(AS_THEY_ARE);
    await server.settle();
    const audit = await owner!.audit();
    expect(audit).toMatchObject({ mismatched: 0, missing: 0, clean: true });
    expect(audit.fellBack).toBeGreaterThan(0);
  });

  it("takes a word of the owner that does not come any more for events that are missing", async () => {
    await openBoth();
    await owner!.close();
    owner = null;
    // The promise is of half a minute, and the last word was as of now.
    later(29 * SECOND);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await served()).toEqual(AS_THEY_ARE);
    later(5 * SECOND);
    await expect.poll(served, WAIT).toEqual(FALLEN_BACK);
    const { views: told } = (await server.request("GET", "/freshness")) as unknown as {
      views: { pipeline_age_seconds: number; pipeline_age_sla_seconds: object | null }[];
    };
    expect(told[0]!.pipeline_age_sla_seconds).toMatchObject({ threshold: 30, broken: true });
    expect(told[0]!.pipeline_age_seconds).toBeGreaterThan(30);
    await openOwner();
    await expect.poll(served, WAIT).toEqual(AS_THEY_ARE);
  });

  it("says how old each value is, when it is asked", async () => {
    await openBoth();
    later(90 * SECOND);
    const { metadata } = await ask({ metadata: "full" });
    const features = metadata["features"] as Readonly<Record<string, { age_ms: number }>>;
    expect(Object.values(features).map(({ age_ms }) => age_ms)).toEqual(Array.from({ length: 12 }, () => 90_000));
  });

  it("keeps sketches and usage in files of its own, which the owner's reports count in", async () => {
    await openBoth();
    await server.serve({ port: 0 });
    const body = (riderId: string) => ({ entities: { rider_id: riderId } });
    for (let i = 0; i < 20; i++) await server.request("POST", "/services/model/vector", body(i < 5 ? "ana" : "zoe"));
    await server.settle();
    const files = await readdir(join(folder, "data", "monitor", "drift", "model", "0"));
    expect(files).toEqual([expect.stringMatching(/^2026-03-01T00\.[0-9a-f]{8}\.json$/)]);
    const asked = "/drift?service=model&current=last:1h&baseline=last:1h";
    const own = (await server.request("GET", asked)) as unknown as Report;
    const ours = (await owner!.request("GET", asked)) as unknown as Report;
    expect(own.current.vectors).toBeGreaterThanOrEqual(20);
    expect(ours).toMatchObject({ current: own.current, features: own.features });
    const fare = own.features.find(({ feature }) => feature === "plain_fare")!;
    expect(fare.missing.current * own.current.vectors).toBeGreaterThanOrEqual(15);
    const sums = sumDays(await readUsageDays(join(folder, "data"), "2026-03-01"));
    expect(sums.feature("plain@1", "plain_rides").reads).toBeGreaterThanOrEqual(20);
    // What is forgotten does not come back with what is seen later.
    await owner!.forget("rider", ["ana"]);
    await server.request("POST", "/services/model/vector", body("zoe"));
    await server.settle();
    const after = (await server.request("GET", asked)) as unknown as Report;
    expect(after.current.vectors).toBe(1);
  });
});

interface Report {
  readonly current: { readonly vectors: number };
  readonly features: readonly { readonly feature: string; readonly missing: { readonly current: number } }[];
}
