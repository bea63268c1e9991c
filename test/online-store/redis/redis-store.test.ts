import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StateWrite } from "../../../src/online-store/online-store.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { onlineStoreCases } from "../../../src/testing/online-store-conformance.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";
import { type RedisCluster, startRedisCluster } from "../../services/redis-cluster.ts";

const REDIS_PAGE = readFileSync(new URL("../../../docs/redis.md", import.meta.url), "utf8");
const RULES = [...REDIS_PAGE.matchAll(/`(~of:[^`]*)`/g)].map((match) => match[1]!);
const PASSWORD = "s3cret/:@%";
const SEED = Number(process.env["ONEFOLD_SEED"] ?? 29);
const describeWithRedis = await describeWhere("redis");
const describeWithOurs = await describeWhere("redis", { ours: true });
const closers: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What a test writes is under a prefix of its own. A busy machine may make of what is written at once more than the second that is allowed. */
function addressOf(url: string): string {
  return `${url}/?prefix=${randomUUID()}:&timeout_ms=20000`;
}

async function opened(url: string): Promise<RedisOnlineStore> {
  const store = await openRedisStore({ url });
  closers.push(() => store.close());
  await store.ping();
  return store;
}

function write(key: string, offset: number, more: Partial<StateWrite> = {}): StateWrite {
  return { space: "v@1#0", key, epoch: 0, offset, bytes: new Uint8Array([offset]), ...more };
}

describeWithRedis("online store: redis", () => {
  for (const storeCase of onlineStoreCases) {
    it(storeCase.name, async () => {
      const url = addressOf(await shared("redis"));
      await storeCase.run(() => openRedisStore({ url }), SEED);
    });
  }

  it("reads states as it holds them, which differ where they do, and finds them in that", async () => {
    const store = await opened(addressOf(await shared("redis")));
    const keys = Array.from({ length: 1200 }, (_, i) => `k${i}`);
    const writes = keys.map((key, i) => write(key, i, { bytes: new Uint8Array(1 + (i % 50)).fill(i) }));
    await store.commit(writes, []);
    const reads = [...writes.toReversed(), write("none", 0)].map(({ space, key }) => ({ space, key }));
    const stored = await store.readStored(reads);
    const { states } = await store.read(reads);
    expect(stored.map((value) => value && Buffer.from(store.stateIn(value)))).toEqual(
      states.map((state) => state && Buffer.from(state.bytes)),
    );
    expect(stored.at(-1)).toBeNull();
    await store.commit([write("k1", 5000, { bytes: writes[1]!.bytes })], []);
    const [same, other] = await store.readStored([write("k2", 0), write("k1", 0)]);
    expect(same).toEqual(stored[reads.findIndex(({ key }) => key === "k2")]);
    expect(other).not.toEqual(stored[reads.findIndex(({ key }) => key === "k1")]);
  });

  it("keeps all views of an entity in one slot, whatever its key, and metas in one hash", async () => {
    const prefix = `${randomUUID()}:`;
    const store = await opened(`${await shared("redis")}/?prefix=${prefix}&timeout_ms=20000`);
    const keys = ["a", "", "}", "{", "%", "a}b", "%7d"];
    await store.commit(
      keys.flatMap((key) => [write(key, 1), write(key, 1, { space: "w@1#0" })]),
      [{ name: "m", bytes: new Uint8Array(1) }],
    );
    const client = new Redis(await shared("redis"));
    closers.push(async () => client.disconnect());
    const stored = (await client.keys(`${prefix}*`)).toSorted();
    expect(stored).toHaveLength(2 * keys.length + 1);
    expect(stored).toContain(`${prefix}{a%7db}w@1#0`);
    expect(stored).toContain(`${prefix}metas`);
    const tagOf = (key: string): string => /\{(.+?)\}/.exec(key)![1]!;
    const tags = stored.filter((key) => key.includes("{")).map(tagOf);
    expect(new Set(tags).size).toBe(keys.length);
  });

  it("removes a state when its time is up, counted from its newest write, and never one without", async () => {
    const store = await opened(addressOf(await shared("redis")));
    await store.commit([write("a", 1, { keptMs: 60 }), write("b", 1, { keptMs: 60 }), write("c", 1)], []);
    await store.commit([write("b", 2, { keptMs: 60_000 }), write("a", 0, { keptMs: 60_000 })], []);
    await expect.poll(() => store.countStates("v@1#0"), { timeout: 60_000 }).toBe(2);
    const { states } = await store.read(["a", "b", "c"].map((key) => ({ space: "v@1#0", key })));
    expect(states.map((state) => state?.offset ?? null)).toEqual([null, 2, 1]);
  });

  it("writes again after the server has forgotten its scripts", async () => {
    const store = await opened(addressOf(await shared("redis")));
    await store.commit([write("a", 1)], []);
    const client = new Redis(await shared("redis"));
    closers.push(async () => client.disconnect());
    await client.script("FLUSH");
    expect(await store.commit([write("a", 1), write("b", 1)], [])).toEqual([
      { index: 0, stored: { epoch: 0, offset: 1 } },
    ]);
  });
});

describeWithOurs("online store: redis cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.close());

  const url = (): string => `redis://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;

  for (const storeCase of onlineStoreCases) {
    it(storeCase.name, async () => {
      const address = addressOf(url());
      await storeCase.run(() => openRedisStore({ url: address }), SEED);
    });
  }

  it("is served by a user who may do what docs/redis.md names, and no more", async () => {
    for (const { port } of cluster.nodes) {
      const client = new Redis(port);
      const rules = `${RULES[0]!} +cluster|slots +cluster|nodes +wait`.split(" ");
      await client.call("ACL", "SETUSER", "onefold", "on", `>${PASSWORD}`, ...rules);
      client.disconnect();
    }
    const hosts = url().slice("redis://".length);
    const store = await opened(`redis://onefold:${encodeURIComponent(PASSWORD)}@${hosts}`);
    await store.commit([write("a", 1), write("b", 1), write("c", 1)], [{ name: "m", bytes: new Uint8Array(1) }]);
    expect(await store.isReplicated()).toBe(true);
    expect(await store.countStates("v@1#0")).toBe(3);
    await store.dropSpace("v@1#0");
    await store.commit([], [{ name: "m", bytes: null }]);
  });

  it("is told from a single server by whoever takes it for one", async () => {
    const store = await openRedisStore({ url: `redis://127.0.0.1:${cluster.nodes[0]!.port}` });
    closers.push(() => store.close());
    const reads = ["a", "b", "c", "d"].map((key) => store.read([{ space: "v@1#0", key }]));
    const moved = (await Promise.allSettled(reads)).find(({ status }) => status === "rejected");
    expect((moved as PromiseRejectedResult).reason).toMatchObject({
      code: "STORE_UNAVAILABLE",
      hint: expect.stringContaining("cluster=yes") as string,
    });
  });

  it("finds slots that were moved to another node, while writes and reads go on", async () => {
    const prefix = `${randomUUID()}:`;
    const store = await opened(`${url()}/?prefix=${prefix}`);
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    await store.commit(
      keys.map((key) => write(key, 1)),
      [],
    );
    await moveSlots(cluster, 0, 1, 1500);
    const refused = await store.commit(
      keys.map((key, i) => write(key, i % 2 === 0 ? 2 : 1)),
      [],
    );
    expect(refused).toHaveLength(100);
    const { states } = await store.read(keys.map((key) => ({ space: "v@1#0", key })));
    expect(states.map((state) => state?.offset)).toEqual(keys.map((_, i) => (i % 2 === 0 ? 2 : 1)));
    expect(await store.countStates("v@1#0")).toBe(200);
  });
});

/** Moves the first slots of one node to another, with their keys. */
async function moveSlots(cluster: RedisCluster, from: number, to: number, count: number): Promise<void> {
  const [source, target] = [cluster.nodes[from]!, cluster.nodes[to]!];
  const clients = cluster.nodes.map(({ port }) => new Redis(port));
  try {
    const ids = await Promise.all(clients.map(async (client) => String(await client.call("CLUSTER", "MYID"))));
    for (let slot = 0; slot < count; slot++) {
      const keys = (await clients[from]!.call("CLUSTER", "GETKEYSINSLOT", slot, 100)) as string[];
      if (keys.length > 0) {
        await clients[to]!.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]!);
        await clients[from]!.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]!);
        await clients[from]!.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", ...keys);
      }
      for (const at of [to, from]) await clients[at]!.call("CLUSTER", "SETSLOT", slot, "NODE", ids[to]!);
    }
    expect(source.port).not.toBe(target.port);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

describeWithOurs("online store: redis with TLS and users", () => {
  const folder = mkdtempSync(join(tmpdir(), "onefold-tls-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("speaks TLS with the authority it is given, as a user who may do what the store does and no more", async () => {
    // The commands that docs/redis.md names.
    const [rules, readOnly] = RULES;
    const users = [
      { name: "onefold", password: PASSWORD, rules: rules! },
      { name: "reader", password: PASSWORD, rules: readOnly! },
    ];
    const server = await startRedis({ tls: true, users });
    closers.push(() => server.close());
    const ca = join(folder, "ca.pem");
    await writeFile(ca, server.ca!);
    const host = `127.0.0.1:${server.port}`;
    const user = `onefold:${encodeURIComponent(PASSWORD)}`;

    const store = await opened(`rediss://${user}@${host}/?ca=${encodeURIComponent(ca)}`);
    await store.commit([write("a", 1)], [{ name: "m", bytes: new Uint8Array(1) }]);
    expect(await store.commit([write("a", 1)], [])).toHaveLength(1);
    expect(await store.countStates("v@1#0")).toBe(1);
    const reader = await opened(`rediss://reader:${encodeURIComponent(PASSWORD)}@${host}/?ca=${ca}`);
    expect(await reader.read([{ space: "v@1#0", key: "a" }], ["m"])).toMatchObject({ states: [{ offset: 1 }] });
    await expect(reader.commit([write("a", 2)], [])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    const metas: string[] = [];
    for await (const { name } of store.scanMetas("")) metas.push(name);
    expect(metas).toEqual(["m"]);
    await store.commit([], [{ name: "m", bytes: null }]);
    await store.dropSpace("v@1#0");
    expect(await store.countStates("v@1#0")).toBe(0);

    const refusals: [url: string, password: string | undefined, why: RegExp][] = [
      [`rediss://${user}@${host}`, undefined, /certificate/i],
      [`rediss://onefold:wrong-${PASSWORD.length}@${host}/?ca=${ca}`, undefined, /WRONGPASS/],
      [`rediss://onefold@${host}/?ca=${ca}`, "another", /WRONGPASS/],
      [`rediss://${host}/?ca=${ca}`, undefined, /NOAUTH/],
      [`redis://${user}@${host}/?timeout_ms=400`, undefined, /./],
      [`rediss://${user}@${host}/?ca=${ca}&prefix=others:`, undefined, /NOPERM/],
    ];
    for (const [url, password, why] of refusals) {
      const denied = await openRedisStore({ url, ...(password === undefined ? {} : { password }) });
      const error = await denied.ping().then(
        () => null,
        (thrown: unknown) => thrown as Error & { code: string },
      );
      await denied.close();
      expect(error?.code, url).toMatch(/^STORE_(UNAVAILABLE|TIMEOUT)$/);
      expect(error!.message).toMatch(why);
      const said = `${JSON.stringify(error)} ${error!.stack} ${String(error!.cause)}`;
      for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), "wrong-", "another"]) {
        expect(said).not.toContain(secret);
      }
    }
  });
});

describe("the address of a Redis", () => {
  it("is refused without a word of it where it is none", async () => {
    const wrong = [
      "http://user:secret@host",
      "redis://user:secret@host:99999",
      "redis://user:secret@",
      "redis://user:secret@host/abc",
      "redis://user:secret@host/?prefx=a",
      "redis://user:secret@host/?prefix={a}",
      "redis://user:secret@host/?timeout_ms=0",
      "redis://user:secret@a,b/1",
      "redis://user:sec%ret@host",
    ];
    for (const url of wrong) {
      const error = await openRedisStore({ url }).catch((thrown: unknown) => thrown as Error);
      expect(error, url).toMatchObject({ code: "REQUEST_INVALID" });
      expect(`${JSON.stringify(error)} ${String((error as Error).stack)}`).not.toMatch(/secret|sec%ret/);
    }
  });
});
