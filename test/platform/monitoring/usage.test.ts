/** Who reads which feature, by every door, and kept by the day across a restart. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient as createRedis } from "redis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, parseMicros } from "../../../src/base/micros.ts";
import { createClient } from "../../../src/client/index.ts";
import { count, entity, last, service, stream, t, view } from "../../../src/index.ts";
import { sumDays } from "../../../src/monitor/metrics/usage-days.ts";
import { openPlatform, type Platform } from "../../../src/platform.ts";
import { FEATURE_READS } from "../../../src/monitor/metrics/request-metrics.ts";
import { countedElsewhere, readUsageDay, readUsageDays } from "../../../src/platform/monitoring/usage-files.ts";
import { UsageKeeper } from "../../../src/platform/monitoring/usage-keeper.ts";

const START = parseMicros("2026-03-01T10:00:00Z");

const rider = entity("rider", { rider_id: t.string() });
const rides = stream("rides", {
  columns: { rider_id: t.string(), at: t.timestamp(), stars: t.int64() },
  eventTime: "at",
});
const riderRides = view("rider_rides", {
  entity: rider,
  source: rides,
  features: { rides: count(), stars: last("stars"), unread: count().over("1h") },
});
const model = service("model", { features: [riderRides.pick("rides", "stars")] });
const definitions = [rider, rides, riderRides, model];

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
  await platform.push("rides", [{ rider_id: "ana", at: formatMicros(START), stars: 5 }]);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

const JSON_HEADERS = { "content-type": "application/json" };

describe("usage", () => {
  it("that cannot be looked at does not pass for none", async () => {
    const other = join(folder, "other");
    expect(await readUsageDays(other, "2026-01-01")).toEqual([]);
    await mkdir(join(other, "monitor"), { recursive: true });
    await writeFile(join(other, "monitor", "usage"), "");
    await expect(readUsageDays(other, "2026-01-01")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(countedElsewhere(other, "2026-01-01")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  it("is counted by every door under the name of who asks, kept answers too", async () => {
    const server = await platform.serve({ port: 0 });
    const resp = await platform.serveResp({ port: 0 });
    try {
      const post = async (path: string, body: object, headers: Record<string, string>): Promise<void> => {
        const answer = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body), headers });
        expect(answer.status).toBe(200);
        await answer.arrayBuffer();
      };
      const asked = { entities: { rider_id: "ana" } };
      const named = (consumer: string): Record<string, string> => ({ ...JSON_HEADERS, "x-onefold-consumer": consumer });
      // Several times: the fast door keeps the answer from the second time on.
      for (let i = 0; i < 5; i++) await post("/services/model/vector", asked, named("web"));
      await post("/services/model/vectors", { entities: [{ rider_id: "ana" }, { rider_id: "ben" }] }, named("batch"));
      // Not of the simple kind: answered by the ordinary server.
      await post("/services/model/vector", asked, { ...named("slow"), "accept-version": "1.x" });
      await post("/features", { entity_type: "rider", entity_id: "ana", feature_names: ["rides"] }, JSON_HEADERS);
      await post(
        "/get-online-features",
        { features: ["rider_rides:stars"], entities: { rider_id: ["ana"] } },
        named("feast"),
      );
      const client = createClient({ url: server.url, consumer: "client" });
      await client.vector("model", { rider_id: "ana" });
      await client.close();
      const respUrl = `redis://127.0.0.1:${resp.port}`;
      const overResp = createClient({ url: respUrl, consumer: "resp-client" });
      await overResp.vector("model", { rider_id: "ana" });
      await overResp.close();
      const redis = await createRedis({ url: respUrl, name: "redis", disableClientInfo: true }).connect();
      for (let i = 0; i < 3; i++) await redis.sendCommand(["FGET", "model", "ana"]);
      await redis.sendCommand(["FMGET", "model", "2", "ana", "ben"]);
      redis.destroy();

      const lines = (await (await fetch(`${server.url}/metrics`)).text()).split("\n");
      const reads = lines.filter((line) => line.startsWith("onefold_feature_reads_total"));
      const of = (feature: string): Record<string, number> =>
        Object.fromEntries(
          reads.flatMap((line) => {
            const [, name, consumer, value] = /feature="(\w+)",consumer="([\w-]*)"\} (\d+)/.exec(line)!;
            return name === feature ? [[consumer!, Number(value)]] : [];
          }),
        );
      const byAll = { web: 5, batch: 2, slow: 1, client: 1, "resp-client": 1, redis: 5 };
      expect(of("rides")).toEqual({ ...byAll, "": 1 });
      expect(of("stars")).toEqual({ ...byAll, feast: 1 });
      expect(of("unread")).toEqual({});
      expect(lines).toContain('onefold_consumer_vectors_total{service="model",consumer="web"} 5');
    } finally {
      await resp.close();
      await server.close();
    }
  });

  it("is kept by the day, goes on after a restart, and says what was not read for so long", async () => {
    const ask = async (times: number): Promise<void> => {
      const server = await platform.serve({ port: 0 });
      for (let i = 0; i < times; i++) {
        const body = JSON.stringify({ entities: { rider_id: "ana" } });
        await fetch(`${server.url}/services/model/vector`, { method: "POST", body, headers: JSON_HEADERS });
      }
      await server.close();
    };
    await ask(2);
    await platform.close();
    await open();
    await ask(3);
    await platform.close();
    clock.advanceTo(parseMicros("2026-03-03T00:00:00Z"));
    await open();
    await ask(1);
    await platform.close();
    const days = await readUsageDays(folder, "2026-03-01");
    expect(days.map(({ day, reads }) => [day, reads.find(({ feature }) => feature === "rides")?.reads])).toEqual([
      ["2026-03-01", 5],
      ["2026-03-03", 1],
    ]);
    const sums = sumDays(days);
    expect(sums.feature("rider_rides@1", "stars")).toMatchObject({ reads: 6, lastReadOn: "2026-03-03" });
    expect(sums.feature("rider_rides@1", "unread").lastReadOn).toBe(null);
    expect(sums.view("rider_rides@1")).toMatchObject({ eventsFolded: 1 });
    expect(sums.view("rider_rides@1").cpuSeconds).toBeGreaterThan(0);
    expect(await readUsageDays(folder, "2026-03-02")).toHaveLength(1);
    await open();
  });
});

it("of a day that a clock which is set back comes to again goes on from what was counted", async () => {
  let now = parseMicros("2026-03-01T23:59:58Z");
  let reads = 5;
  const labels = { view: "rider_rides@1", feature: "rides", consumer: "web" };
  const keeper = new UsageKeeper({
    dataDir: folder,
    writer: "other",
    clock: { now: () => now },
    counted: async () => [{ name: FEATURE_READS, values: [{ labels, value: reads }] }] as never,
    sources: () => [],
  });
  const kept = async (day: string): Promise<unknown> => (await readUsageDay(folder, day, "other"))?.reads[0]?.reads;
  await keeper.keepNow();
  now = parseMicros("2026-03-02T00:00:01Z");
  await keeper.keepNow();
  reads = 7;
  await keeper.keepNow();
  now = parseMicros("2026-03-01T23:59:59Z");
  await keeper.keepNow();
  reads = 8;
  await keeper.keepNow();
  expect([await kept("2026-03-01"), await kept("2026-03-02")]).toEqual([6, 2]);
  await keeper.close();
});
