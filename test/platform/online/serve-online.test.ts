/**
 * Serving from Redis what an owner publishes to it: to the bit what the owner serves, whatever fails or changes.
 *
 * ONEFOLD_SEED=n runs other events.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import type { Micros } from "../../../src/base/micros.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";
import { startRedisCluster } from "../../services/redis-cluster.ts";
import { definitions, drafts, OnlineWorld, START } from "./online-world.ts";
import { promised } from "../../promised.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 41);
const describeWithRedis = await describeWhere("redis");
const describeWithOurs = await describeWhere("redis", { ours: true });

let folder: string;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-serve-online-"));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

async function worldOn(url: string, timeoutMs = 10_000): Promise<OnlineWorld> {
  const world = new OnlineWorld(join(folder, "data"), `${url}/?prefix=${randomUUID()}:&timeout_ms=${timeoutMs}`);
  closers.push(() => world.close());
  await world.openOwner();
  await world.owner.apply(definitions);
  await world.openServer();
  return world;
}

const PAIRS = Array.from({ length: 13 }, (_, i) => [`u${i + 1}`, (i % 5) + 1] as const);

/** The server answers as the owner does: features, statuses, times, windows, token. Not yet, as it may be behind. */
async function expectAlike(world: OnlineWorld): Promise<void> {
  for (const name of ["plain", "fraud"]) {
    const vectors = (from: "owner" | "server"): Promise<unknown[]> =>
      Promise.all(PAIRS.map(([userId, shopId]) => world.vector(from, userId, shopId, name)));
    await expect
      .poll(() => vectors("server").catch((error: unknown) => error), { timeout: 60_000, interval: 30 })
      .toEqual(await vectors("owner"));
  }
}

async function expectCleanAudit(world: OnlineWorld): Promise<void> {
  await world.server.settle();
  const audit = await world.owner.audit({ states: true });
  expect(audit).toMatchObject({ mismatched: 0, missing: 0, pending: 0, clean: true });
  expect(audit.compared).toBeGreaterThan(100);
}

describeWithRedis("served from Redis", () => {
  it("equals what the owner serves bit for bit, over every door, and the audit computes it again", async () => {
    console.log(`events are random by seed ${SEED} (ONEFOLD_SEED)`);
    const world = await worldOn(await shared("redis"));
    const random = new SeededRandom(SEED);
    for (let round = 0; round < 6; round++) {
      await world.pushSome(random);
      await expectAlike(world);
    }
    const entities = PAIRS.map(([user_id, shop_id]) => ({ user_id, shop_id }));
    const requests: [string, object][] = [
      ["/services/plain/vectors", { entities }],
      ["/services/fraud/vectors", { entities, request: { asked: 3 } }],
      ["/features", { entity_type: "user", entity_id: "u1" }],
      ["/features/batch", { entity_type: "shop", entity_ids: [1, 2, 3, 99] }],
      ["/get-online-features", { features: ["spending:latest"], entities: { user_id: ["u1", "u2", "u99"] } }],
    ];
    for (const [path, body] of requests) {
      const [own, served] = [await world.ask("owner", path, body), await world.ask("server", path, body)];
      expect(withoutTimes(served)).toEqual(withoutTimes(own));
    }
    const http = await world.server.serve({ port: 0 });
    const resp = await world.server.serveResp({ port: 0 });
    closers.push(
      () => http.close(),
      () => resp.close(),
    );
    const [userId, shopId] = PAIRS[0]!;
    const own = await world.ask("owner", "/services/plain/vector", { entities: entities[0] });
    // Many at once on one plan: none may be answered with another's values.
    const overHttp = await Promise.all(
      entities.map(async (one, i) => {
        const body = JSON.stringify({ entities: one, metadata: i % 2 === 0 });
        const response = await fetch(`${http.url}/services/plain/vector`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        return (await response.json()) as { features: unknown; metadata: Record<string, unknown> };
      }),
    );
    const expected = await Promise.all(
      entities.map((one) => world.ask("owner", "/services/plain/vector", { entities: one })),
    );
    expect(overHttp.map(({ features }) => features)).toEqual(expected.map((answer) => answer["features"]));
    expect(overHttp[0]!.metadata["snapshot_age_ms"]).toBeGreaterThanOrEqual(0);
    const client = createClient({ url: resp.url });
    await client.connect();
    const json = (reply: unknown): unknown => JSON.parse(String(reply));
    expect(json(await client.sendCommand(["FGETJSON", "plain", userId, String(shopId)]))).toEqual(own["features"]);
    const pipelined = await Promise.all(
      PAIRS.map(([one, two]) => client.sendCommand(["FGETJSON", "plain", one, String(two)])),
    );
    expect(pipelined.map(json)).toEqual(expected.map((answer) => answer["features"]));
    await expect(client.sendCommand(["FGET", "plain", userId])).rejects.toThrow("REQUEST_INVALID");
    const values = Object.values(own["features"] as object);
    const many = await client.sendCommand(["FMGET", "plain", "2", userId, String(shopId), userId, "no shop"]);
    expect((many as unknown as unknown[])[0]).toEqual(
      values.map((value) => (value === null ? null : expect.anything())),
    );
    expect(String((many as unknown as unknown[])[1])).toContain("TYPE_MISMATCH");
    const aged = (await client.sendCommand([
      "FGET",
      "plain",
      userId,
      String(shopId),
      "WITHAGE",
    ])) as unknown as unknown[];
    expect(aged).toEqual([expect.any(Number), (many as unknown as unknown[])[0]]);
    expect(aged[0]).toBeGreaterThanOrEqual(0);
    expect(await client.sendCommand(["FMGET", "plain", "1", userId, String(shopId), "WITHAGE"])).toEqual([
      [expect.any(Number), aged[1]],
    ]);
    const overFeast = await fetch(`${http.url}/get-online-features`, {
      method: "POST",
      body: JSON.stringify(requests.at(-1)![1]),
    });
    expect(Number(overFeast.headers.get("x-onefold-snapshot-age-ms") ?? Number.NaN)).toBeGreaterThanOrEqual(0);
    const questions = [{ entities: entities[0] }, { entities: { user_id: "u1" } }].map((one) => JSON.stringify(one));
    const [first, second] = (await client.sendCommand(["FVECTORS", "plain", ...questions])) as unknown as unknown[];
    expect(json(first)).toMatchObject({ features: own["features"] });
    expect(json(second)).toMatchObject({ error: { code: expect.any(String) } });
    client.destroy();
    await expect(world.ask("server", "/events/payments", [])).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await expectCleanAudit(world);
  });

  it("is kept as long as it can matter and a day more, and for ever where it always can", async () => {
    const prefix = `${randomUUID()}:`;
    const url = await shared("redis");
    const world = new OnlineWorld(join(folder, "data"), `${url}/?prefix=${prefix}`);
    closers.push(() => world.close());
    await world.openOwner();
    await world.owner.apply(definitions);
    await world.owner.push("payments", [world.payment("u1", 1, 5)]);
    const client = createClient({ url });
    await client.connect();
    closers.push(async () => client.destroy());
    const leftMs = (view: string): Promise<number> => client.pTTL(`${prefix}{u1}${view}@1#0`);
    const [hourMs, dayMs] = [3_600_000, 86_400_000];
    await expect.poll(() => leftMs("recent"), { timeout: 60_000 }).toBeGreaterThan(dayMs + hourMs - 60_000);
    expect(await leftMs("recent")).toBeLessThanOrEqual(dayMs + hourMs);
    await expect.poll(() => leftMs("spending"), { timeout: 60_000 }).toBe(-1);
  });

  it("goes over to another epoch whole: nobody is unseen in between, and tokens name what was read", async () => {
    const world = await worldOn(await shared("redis"));
    const random = new SeededRandom(SEED);
    await world.owner.push(
      "payments",
      PAIRS.map(([userId, shopId], i) => world.payment(userId, shopId, i + 1)),
    );
    await expectAlike(world);
    const history = join(folder, "history.ndjson");
    const rows = PAIRS.map(([userId, shopId]) => world.payment(userId, shopId, 1000, (START - 86_400e6 * 3) as Micros));
    await writeFile(history, rows.map((row) => JSON.stringify(row)).join("\n"));
    const end = { isOver: false };
    const watching = (async () => {
      let answered = 0;
      while (!end.isOver) {
        const answer = await world.ask("server", "/services/plain/vectors", {
          entities: PAIRS.map(([user_id, shop_id]) => ({ user_id, shop_id })),
        });
        for (const { features } of answer["results"] as { features: Record<string, number> }[]) {
          // The one payment, or the two: never none.
          expect([1, 2]).toContain(features["payments"]);
          answered++;
        }
        await sleep(1);
      }
      return answered;
    })();
    await world.owner.importHistory("payments", [history]);
    await expectAlike(world);
    end.isOver = true;
    expect(await watching).toBeGreaterThan(50);
    expect(await world.vector("server", "u1", 1)).toMatchObject({ features: { payments: 2 } });
    await world.pushSome(random);
    await expectAlike(world);
    await expectCleanAudit(world);
  });

  it("serves a draft by its present definition alone, and takes up what is applied", async () => {
    const world = await worldOn(await shared("redis"));
    const random = new SeededRandom(SEED);
    const drafted = async (from: "owner" | "server"): Promise<unknown> => {
      const answer = await world.ask(from, "/features", {
        entity_type: "user",
        entity_id: "u1",
        feature_names: ["draft@dev:drafted"],
      });
      return (answer["features"] as Record<string, unknown>)["draft@dev:drafted"];
    };
    await world.owner.push("payments", [world.payment("u1", 1, 5), world.payment("u1", 1, 7)]);
    for (const [i, draft] of [...drafts, ...drafts].entries()) {
      await world.owner.apply(draft);
      await world.owner.push("payments", [world.payment("u1", 1, 7)]);
      await world.pushSome(random, 5);
      const own = await drafted("owner");
      await expect
        .poll(() => drafted("server").catch((error: unknown) => error), { timeout: 60_000, interval: 20 })
        .toEqual(own);
      expect(own, String(i)).not.toBeNull();
    }
  });
});

describeWithOurs("served from a Redis that fails", () => {
  it("answers with a clear status while it is away, and with all that happened meanwhile once it is back", async () => {
    const redis = await startRedis({ durable: true });
    closers.push(() => redis.close());
    const world = await worldOn(`redis://127.0.0.1:${redis.port}`, 500);
    const random = new SeededRandom(SEED);
    await world.pushSome(random);
    await expectAlike(world);
    for (const isLost of [false, true]) {
      await redis.kill();
      await world.pushSome(random);
      const began = performance.now();
      await expect(world.vector("server", "u1", 1)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(performance.now() - began).toBeLessThan(promised(1500));
      await world.pushSome(random);
      await redis.restart();
      if (isLost) await flush(redis.port);
      await expectAlike(world);
      await world.pushSome(random);
      await expectAlike(world);
    }
    await redis.pause();
    await world.pushSome(random);
    // What was here is served for a second that Redis says nothing in.
    const answer = (): Promise<string> =>
      world.vector("server", "u1", 1).then(
        () => "served",
        (error: unknown) => (error as { code: string }).code,
      );
    await expect.poll(answer, { timeout: 5000 }).toMatch(/^STORE_/);
    await redis.resume();
    await expectAlike(world);
    expect(world.errors.length).toBeGreaterThan(0);
    await expectCleanAudit(world);
  });

  it("gets what it lacks from an owner that begins anew, and from one whose Redis was never there", async () => {
    const redis = await startRedis();
    closers.push(() => redis.close());
    const world = await worldOn(`redis://127.0.0.1:${redis.port}`, 500);
    const random = new SeededRandom(SEED);
    await world.pushSome(random);
    await expectAlike(world);
    await redis.kill();
    await world.pushSome(random);
    await world.owner.close();
    await world.openOwner();
    await world.pushSome(random);
    await redis.restart();
    await expectAlike(world);
  });
});

describeWithOurs("served from a cluster", () => {
  it("equals what the owner serves, also after a node was killed and its replica took over", async () => {
    const cluster = await startRedisCluster({ replicasPerMaster: 1 });
    closers.push(() => cluster.close());
    const world = await worldOn(`redis://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`, 500);
    const random = new SeededRandom(SEED);
    await world.pushSome(random);
    await expectAlike(world);
    await cluster.nodes[1]!.kill();
    await world.pushSome(random);
    await expectAlike(world);
    await world.pushSome(random);
    await expectAlike(world);
    await expectCleanAudit(world);
  });
});

async function flush(port: number): Promise<void> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  await client.connect();
  await client.flushAll();
  client.destroy();
  const store = await openRedisStore({ url: `redis://127.0.0.1:${port}` });
  await store.ping();
  await store.close();
}

/** All but how long it took, when that was, and how old the states may be. */
function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !["latency_ms", "timestamp", "snapshot_age_ms"].includes(name));
  return Object.fromEntries(kept.map(([name, each]) => [name, withoutTimes(each)]));
}
