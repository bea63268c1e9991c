/** What the store on Redis does while servers are killed, silent, slow to come back or replaced by their replicas. */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import type { StateWrite } from "../../../src/online-store/online-store.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";
import { startRedisCluster } from "../../services/redis-cluster.ts";
import { promised } from "../../promised.ts";

const TIMEOUT_MS = 400;
/** Beyond the limit, for timers and a machine that is busy. */
const GRACE_MS = promised(1500);
const BACK_MS = 60_000;
const SPACE = "v@1#0";

const describeWithOurs = await describeWhere("redis", { ours: true });
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function closed<T extends { close(): Promise<void> }>(resource: T): T {
  closers.push(() => resource.close());
  return resource;
}

async function opened(hosts: string, timeoutMs: number = TIMEOUT_MS): Promise<RedisOnlineStore> {
  return closed(await openRedisStore({ url: `redis://${hosts}/?prefix=${randomUUID()}:&timeout_ms=${timeoutMs}` }));
}

function write(key: string, offset: number): StateWrite {
  return { space: SPACE, key, epoch: 0, offset, bytes: new Uint8Array(8) };
}

const offsetOf = async (store: RedisOnlineStore, key: string): Promise<number | null> =>
  (await store.read([{ space: SPACE, key }])).states[0]?.offset ?? null;

interface Ended {
  readonly code: string;
  readonly ms: number;
}

async function ending(work: Promise<unknown>): Promise<Ended> {
  const began = performance.now();
  const code = await work.then(
    () => "done",
    (error: unknown) => (error as { readonly code: string }).code,
  );
  return { code, ms: performance.now() - began };
}

/** Asks until the store answers again. */
async function untilBack(store: RedisOnlineStore, withinMs: number): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while ((await ending(store.ping())).code !== "done") {
    if (performance.now() > giveUpAt) throw new Error(`the store is not back within ${withinMs} ms`);
    await sleep(20);
  }
}

describeWithOurs("the online store on a Redis that fails", () => {
  it("refuses in time while it is killed, at once after a while, and goes on without a restart", async () => {
    const server = closed(await startRedis({ durable: true }));
    const store = await opened(`127.0.0.1:${server.port}`);
    await store.commit([write("a", 1)], [{ name: "m", bytes: new Uint8Array(1) }]);
    await server.kill();
    const first = await Promise.all([
      ending(offsetOf(store, "a")),
      ending(store.commit([write("a", 2)], [])),
      ending(store.countStates(SPACE)),
    ]);
    for (const { code, ms } of first) {
      expect(code).toBe("STORE_UNAVAILABLE");
      expect(ms).toBeLessThan(TIMEOUT_MS + GRACE_MS);
    }
    await sleep(TIMEOUT_MS);
    const later = await Promise.all(Array.from({ length: 100 }, () => ending(offsetOf(store, "a"))));
    expect(new Set(later.map(({ code }) => code))).toEqual(new Set(["STORE_UNAVAILABLE"]));
    expect(Math.max(...later.map(({ ms }) => ms))).toBeLessThan(promised(TIMEOUT_MS));
    await server.restart();
    await untilBack(store, BACK_MS);
    expect([1, 2]).toContain(await offsetOf(store, "a"));
    await store.commit([write("a", 3)], []);
    expect(await offsetOf(store, "a")).toBe(3);
  });

  it("waits out a server that is away for less than the time limit", async () => {
    const server = closed(await startRedis({ durable: true }));
    const store = await opened(`127.0.0.1:${server.port}`, 5000);
    await store.commit([write("a", 1)], []);
    await server.kill();
    const reading = offsetOf(store, "a");
    const writing = store.commit([write("b", 1)], []);
    await server.restart();
    expect(await reading).toBe(1);
    // It may have been sent twice: then the second found the first.
    expect([[], [{ index: 0, stored: { epoch: 0, offset: 1 } }]]).toContainEqual(await writing);
    expect(await offsetOf(store, "b")).toBe(1);
  });

  it("times out while it is stopped, and goes on when it does", async () => {
    const server = closed(await startRedis());
    const store = await opened(`127.0.0.1:${server.port}`);
    await store.commit([write("a", 1)], []);
    await server.pause();
    const first = await Promise.all([ending(offsetOf(store, "a")), ending(store.commit([write("a", 2)], []))]);
    for (const { code, ms } of first) {
      expect(code).toMatch(/^STORE_(TIMEOUT|UNAVAILABLE)$/);
      expect(ms).toBeGreaterThan(TIMEOUT_MS / 2);
      expect(ms).toBeLessThan(TIMEOUT_MS + GRACE_MS);
    }
    await sleep(TIMEOUT_MS * 2);
    const { code, ms } = await ending(offsetOf(store, "a"));
    expect(code).toBe("STORE_UNAVAILABLE");
    expect(ms).toBeLessThan(promised(TIMEOUT_MS));
    await server.resume();
    await untilBack(store, BACK_MS);
    await store.commit([write("a", 3)], []);
    expect(await offsetOf(store, "a")).toBe(3);
  });

  it("says so while there is none at all, and takes up one that comes", async () => {
    const server = closed(await startRedis());
    await server.kill();
    const store = await opened(`127.0.0.1:${server.port}`);
    const { code, ms } = await ending(store.ping());
    expect(code).toBe("STORE_UNAVAILABLE");
    expect(ms).toBeLessThan(TIMEOUT_MS + GRACE_MS);
    await server.restart();
    await untilBack(store, BACK_MS);
    await store.commit([write("a", 1)], []);
    expect(await offsetOf(store, "a")).toBe(1);
  });

  it("lets only so much wait, and refuses the rest at once", async () => {
    const server = closed(await startRedis());
    const store = await opened(`127.0.0.1:${server.port}`, 20_000);
    await store.commit([write("a", 1)], []);
    await server.pause();
    const waiting = Array.from({ length: 50_000 }, () => offsetOf(store, "a"));
    const { code, ms } = await ending(offsetOf(store, "a"));
    expect(code).toBe("STORE_UNAVAILABLE");
    expect(ms).toBeLessThan(promised(1000));
    await server.resume();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([1]));
    expect(await offsetOf(store, "a")).toBe(1);
  });

  it("tells what a full server says", async () => {
    const server = closed(await startRedis({ config: ["maxmemory 3mb"] }));
    const store = await opened(`127.0.0.1:${server.port}`, 10_000);
    const large = { ...write("a", 1), bytes: new Uint8Array(randomBytes(3_000_000)) };
    await store.commit([large], []).catch(() => undefined);
    await expect(store.commit([write("b", 1)], [])).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining("OOM") as string,
    });
  });
});

describeWithOurs("the online store on a cluster that fails", () => {
  it("goes on, over other nodes at once and over the dead one's replica when that has taken over", async () => {
    const cluster = closed(await startRedisCluster({ replicasPerMaster: 1 }));
    const store = await opened(cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(","), 1000);
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    await store.commit(
      keys.map((key) => write(key, 1)),
      [],
    );
    // So that the replica has what it will be asked for: replication is asynchronous.
    await sleep(500);
    await cluster.nodes[0]!.kill();
    const ends = await Promise.all(keys.map((key) => ending(offsetOf(store, key))));
    for (const { code, ms } of ends) {
      expect(code).toMatch(/^(done|STORE_TIMEOUT|STORE_UNAVAILABLE)$/);
      expect(ms).toBeLessThan(1000 + GRACE_MS);
    }
    expect(ends.filter(({ code }) => code === "done").length).toBeGreaterThan(keys.length / 3);
    const giveUpAt = performance.now() + BACK_MS;
    for (;;) {
      const commit = store.commit(
        keys.map((key) => write(key, 2)),
        [],
      );
      if ((await ending(commit)).code === "done") break;
      if (performance.now() > giveUpAt) throw new Error("the store did not come back after the failover");
      await sleep(50);
    }
    const { states } = await store.read(keys.map((key) => ({ space: SPACE, key })));
    expect(states.map((state) => state?.offset)).toEqual(keys.map(() => 2));
    expect(await store.countStates(SPACE)).toBe(keys.length);
  });
});
