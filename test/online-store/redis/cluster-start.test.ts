/** How a store on a cluster is opened while some of its nodes are silent, away, loading or being replaced. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { hashSlot } from "../../../src/online-store/redis/hash-slot.ts";
import { parseRedisAddress } from "../../../src/online-store/redis/redis-address.ts";
import { RedisLink } from "../../../src/online-store/redis/redis-link.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { freePort } from "../../services/free-port.ts";
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from "../../services/redis-cluster.ts";
import type { RedisServer } from "../../services/redis.ts";
import { listening } from "./listening.ts";

/** Far more than it takes to open a store, or a replica to take over. */
const LONG_MS = 30_000;
const SHORT_MS = 1000;
const SLOW_MS = 2000;
const MASTERS = 3;

const describeWithOurs = await describeWhere("redis", { ours: true });
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(options: RedisClusterOptions): Promise<RedisCluster> {
  const cluster = await startRedisCluster(options);
  closers.push(() => cluster.close());
  return cluster;
}

async function opened(hosts: readonly string[], timeoutMs: number): Promise<RedisOnlineStore> {
  const store = await openRedisStore({ url: `redis://${hosts.join(",")}/?timeout_ms=${timeoutMs}` });
  closers.push(() => store.close());
  return store;
}

const hostsOf = ({ nodes }: RedisCluster): string[] => nodes.map(hostOf);
const hostOf = ({ port }: RedisServer): string => `127.0.0.1:${port}`;

/** Takes connections and is silent. */
const silentHost = async (): Promise<string> => `127.0.0.1:${await listening(closers, () => undefined)}`;

/** What the server answers comes so much later. */
const slowWayTo = ({ port }: RedisServer, ms: number): Promise<number> =>
  listening(closers, (socket) => {
    const upstream = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.pipe(upstream);
    socket.on("close", () => upstream.destroy());
    upstream.on("data", (bytes: Buffer) => setTimeout(() => socket.write(bytes), ms));
  });

/** The master that has the places of views, which is asked when a store is opened. */
const placesMaster = ({ nodes }: RedisCluster): RedisServer =>
  nodes[Math.floor(hashSlot("of:metas") / (16_384 / MASTERS))]!;

async function ask<T>({ port }: RedisServer, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(port, { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await question(client);
  } finally {
    client.disconnect();
  }
}

async function msOf(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work;
  return performance.now() - began;
}

const saidBy = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: Error & { readonly code: string }) => `${error.code}: ${error.message}`,
  );

describeWithOurs("a store on a cluster is opened", () => {
  it("at once, whichever nodes of its address are silent, do not run or have no name", async () => {
    const cluster = await started({});
    const none = `127.0.0.1:${await freePort()}`;
    const hosts = [await silentHost(), await silentHost(), none, "none.invalid", hostOf(cluster.nodes[0]!)];
    const stores = await Promise.all(Array.from({ length: 8 }, () => opened(hosts, LONG_MS)));
    const took = await Promise.all(stores.map((store) => msOf(store.ping())));
    expect(Math.max(...took)).toBeLessThan(LONG_MS / 3);
  });

  it("though the round trips that it takes are together longer than one may be", async () => {
    const cluster = await started({ masters: 1 });
    const [node] = cluster.nodes;
    const port = await slowWayTo(node!, 0.6 * SLOW_MS);
    await ask(node!, async (client) => {
      await client.config("SET", "cluster-announce-ip", "127.0.0.1");
      await client.config("SET", "cluster-announce-port", String(port));
    });
    const store = await openRedisStore({ url: `redis://127.0.0.1:${port}/?cluster=yes&timeout_ms=${SLOW_MS}` });
    closers.push(() => store.close());
    expect(await saidBy(store.ping())).toBe("done");
  });

  it("while the master that it asks is silent, once its replica has taken over", async () => {
    const cluster = await started({ replicasPerMaster: 1 });
    await placesMaster(cluster).pause();
    const stores = await Promise.all(Array.from({ length: 4 }, () => opened(hostsOf(cluster), LONG_MS)));
    const took = await Promise.all(stores.map((store) => msOf(store.ping())));
    expect(Math.max(...took)).toBeLessThan(LONG_MS / 2);
  });

  it("while the master that it asks is loading, once it has", async () => {
    const cluster = await started({});
    const store = await opened(hostsOf(cluster), LONG_MS);
    const keys = Array.from({ length: 6000 }, (_, i) => `k${i}`);
    const bytes = new Uint8Array(1);
    await store.commit(
      keys.map((key) => ({ space: "v@1#0", key, epoch: 0, offset: 1, bytes })),
      [{ name: "m", bytes }],
    );
    const master = placesMaster(cluster);
    await ask(master, async (client) => {
      await client.save();
      await client.config("SET", "key-load-delay", "1000");
      await client.config("SET", "loading-process-events-interval-bytes", "1024");
      await client.config("REWRITE");
    });
    await master.kill();
    const restarted = master.restart();
    closers.push(() => restarted);
    const isLoading = (): Promise<boolean> =>
      ask(master, (client) => client.info("persistence")).then(
        (info) => info.includes("loading:1"),
        () => false,
      );
    await expect.poll(isLoading, { interval: 10 }).toBe(true);
    const late = await opened(hostsOf(cluster), LONG_MS);
    expect((await late.read([], ["m"])).metas).toEqual([bytes]);
  });
});

describeWithOurs("a store on a cluster that cannot be opened", () => {
  it("names each node of its address, and what came of asking it", async () => {
    const silent = await silentHost();
    const none = `127.0.0.1:${await freePort()}`;
    const store = await opened([silent, none], SHORT_MS);
    const said = await saidBy(store.ping());
    expect(said).toContain("STORE_UNAVAILABLE: ");
    expect(said).toContain("no node has said who has which slots: ");
    expect(said).toMatch(
      new RegExp(`: ${silent} (has not answered|failed \\(Socket timeout.*\\)), ${none} failed \\(.*ECONNREFUSED.*\\)`),
    );
  });

  it("names the node that has what was asked for, and is silent", async () => {
    const cluster = await started({});
    const master = placesMaster(cluster);
    await master.pause();
    const store = await opened(hostsOf(cluster), SHORT_MS);
    const said = await saidBy(store.ping());
    await master.resume();
    expect(said).toMatch(/^STORE_TIMEOUT: /);
    expect(said).toContain(`within ${SHORT_MS} ms: no reply of ${hostOf(master)} to hmget`);
  });

  it("names the address that a node gives of itself and that cannot be reached, and asks less and less often", async () => {
    const cluster = await started({ masters: 1 });
    const [node] = cluster.nodes;
    const none = await freePort();
    await ask(node!, async (client) => {
      await client.config("SET", "cluster-announce-ip", "127.0.0.1");
      await client.config("SET", "cluster-announce-port", String(none));
    });
    const url = `redis://${hostOf(node!)}/?cluster=yes&timeout_ms=${SHORT_MS}`;
    const link = await RedisLink.open(parseRedisAddress(url), {});
    closers.push(() => link.close());
    const call = (): Promise<string> => saidBy(link.send([{ name: "get", args: ["a"] }]));
    const said = new Set([await call()]);
    const askedFor = async (): Promise<number> => {
      const stats = await ask(node!, (client) => client.info("commandstats"));
      return Number(/cmdstat_cluster\|slots:calls=(\d+)/.exec(stats)?.[1]);
    };
    const asked = await askedFor();
    const untilMs = performance.now() + 2 * SHORT_MS;
    while (performance.now() < untilMs) {
      said.add(await call());
      await sleep(5);
    }
    for (const one of said) expect(one).toContain(`127.0.0.1:${none} failed (`);
    // Twice an attempt: of the address, then of the node that has answered.
    expect((await askedFor()) - asked).toBeLessThan(20);
    await ask(node!, (client) => client.config("SET", "cluster-announce-port", "0"));
    await expect.poll(call).toBe("done");
  });

  it("where the password is wrong says so within the time limit, and tells the password to nobody", async () => {
    const cluster = await started({});
    const url = `redis://nobody:not-the-password@${hostsOf(cluster).join(",")}/?timeout_ms=${SLOW_MS}`;
    const store = await openRedisStore({ url });
    closers.push(() => store.close());
    let said = "";
    const ms = await msOf(saidBy(store.ping()).then((found) => (said = found)));
    expect(said).toContain("WRONGPASS");
    expect(said).not.toContain("not-the-password");
    expect(ms).toBeLessThan(1.5 * SLOW_MS);
  });
});
