/** What an owner that publishes and a server that serves from Redis tell of the way between them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeWhere } from "../../services/describe-where.ts";
import { type RedisServer, startRedis } from "../../services/redis.ts";
import { definitions, OnlineWorld } from "./online-world.ts";

const describeWithOurs = await describeWhere("redis", { ours: true });
const WAIT = { timeout: 30_000, interval: 50 };

let folder: string;
let redis: RedisServer;
let world: OnlineWorld;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-online-metrics-"));
  redis = await startRedis({ durable: true });
  world = new OnlineWorld(join(folder, "data"), `${redis.url}/?timeout_ms=1000`);
});
afterEach(async () => {
  await world?.close();
  await redis?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Samples of a page by name and labels. */
async function scrape(url: string): Promise<Record<string, number>> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

describeWithOurs("metrics", () => {
  it("say how far the copy is behind, and how long Redis takes to answer; both while it is away", async () => {
    await world.openOwner();
    await world.owner.apply(definitions);
    await world.openServer();
    const [owner, server] = await Promise.all([world.owner.serve({ port: 0 }), world.server.serve({ port: 0 })]);
    const push = (count: number): Promise<unknown> =>
      world.owner.push(
        "payments",
        Array.from({ length: count }, (_, n) => world.payment(`u${n}`, n, 1)),
      );

    const lost = async (): Promise<number[]> => [
      (await scrape(owner.url))["onefold_publish_connections_lost_total"]!,
      (await scrape(server.url))["onefold_store_connections_lost_total"]!,
    ];
    await push(10);
    const lag = (url: string) =>
      scrape(url).then((samples) => samples['onefold_publish_lag_events{view="spending@1"}']);
    await expect.poll(async () => (await scrape(owner.url))["onefold_published_states_total"], WAIT).toBe(30);
    await expect.poll(async () => (await scrape(owner.url))["onefold_publish_lag_seconds"], WAIT).toBe(0);
    expect(await lag(owner.url)).toBe(0);
    expect(await scrape(owner.url)).toMatchObject({
      onefold_publish_up: 1,
      onefold_publish_queued_bytes: 0,
    });
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, WAIT).toBe(200);
    await world.vector("server", "u1", 1);
    expect(await scrape(server.url)).toMatchObject({
      onefold_store_up: 1,
      onefold_store_tells_changes: 1,
      onefold_store_fetch_seconds_count: 1,
      onefold_store_fetched_states_total: 2,
    });
    expect((await scrape(server.url))["onefold_store_fetch_seconds_sum"]).toBeGreaterThan(0);

    // On a busy machine one may have been lost already.
    const lostBefore = await lost();
    await redis.kill();
    await push(5);
    await expect.poll(() => lag(owner.url), WAIT).toBe(5);
    await expect.poll(async () => (await scrape(owner.url))["onefold_publish_up"], WAIT).toBe(0);
    await expect.poll(async () => (await scrape(server.url))["onefold_store_up"], WAIT).toBe(0);
    await expect(world.vector("server", "u1", 1)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    const away = await scrape(owner.url);
    expect(away["onefold_publish_lag_seconds"]).toBeGreaterThan(0);
    expect(away['onefold_publish_failures_total{code="STORE_UNAVAILABLE"}']).toBeGreaterThan(0);
    expect((await scrape(server.url))['onefold_store_failures_total{code="STORE_UNAVAILABLE"}']).toBe(1);
    expect(await lost()).toEqual(lostBefore.map((count) => count + 1));

    await redis.restart();
    await expect.poll(() => lag(owner.url), WAIT).toBe(0);
    await expect.poll(async () => (await scrape(owner.url))["onefold_publish_up"], WAIT).toBe(1);
    await expect.poll(async () => (await scrape(server.url))["onefold_store_up"], WAIT).toBe(1);
    // None of the other's, and none of what it does not have.
    const names = (samples: Record<string, number>): string => Object.keys(samples).join("\n");
    expect(names(await scrape(owner.url))).not.toMatch(/onefold_store_/);
    expect(names(await scrape(server.url))).not.toMatch(/onefold_publish/);
    await Promise.all([owner.close(), server.close()]);
  });
});
