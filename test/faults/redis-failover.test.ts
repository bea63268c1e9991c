/**
 * A Redis Cluster under workers: a master dies with writes that its replica does not have, and the replica takes its place;
 * or it is started again itself with what its last snapshot has.
 */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { openRedisStore } from "../../src/online-store/redis/redis-store.ts";
import { FaultHouse } from "../ingest/kafka/fault-house.ts";
import { HONEST } from "../ingest/kafka/watched-server.ts";
import { describeWhere } from "../services/describe-where.ts";
import type { KafkaBroker } from "../services/kafka.ts";
import { type RedisCluster, startRedisCluster } from "../services/redis-cluster.ts";
import type { RedisServer } from "../services/redis.ts";

const describeWithRedis = await describeWhere("redis", { ours: true });
const describeWithBoth = await describeWhere("kafka", { ours: true });

const MASTERS = 3;
const METAS = "of:metas";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A replica that was cut off for long takes over all the same. */
const OPTIONS = { replicasPerMaster: 1, config: ["cluster-replica-validity-factor 0"] };

async function ask<T>({ port }: RedisServer, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(port, { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await question(client);
  } finally {
    client.disconnect();
  }
}

/** Cut off: what the replica's connection has taken it would still read. */
async function cutOff(master: RedisServer, replica: RedisServer): Promise<void> {
  await replica.pause();
  await ask(master, (client) => client.call("CLIENT", "KILL", "TYPE", "replica"));
}

const roleOf = (node: RedisServer): Promise<string> =>
  ask(node, async (client) => ((await client.call("ROLE")) as string[])[0]!).catch(() => "none");

const infoOf = async (node: RedisServer, field: string): Promise<number> =>
  Number(new RegExp(`^${field}:(\\d+)`, "m").exec(await ask(node, (client) => client.info("replication")))?.[1]);

/** Whether the node has the slot of the key, as its master. */
const hasKey = (node: RedisServer, key: string): Promise<boolean> =>
  ask(node, (client) => client.get(key)).then(
    () => true,
    (error: Error) => !error.message.startsWith("MOVED"),
  );

/** A master and its replica: the ones that have the positions, or others. */
async function pairWith(
  { nodes }: RedisCluster,
  of: "states" | "positions",
): Promise<[master: RedisServer, replica: RedisServer]> {
  for (let i = 0; i < MASTERS; i++) {
    const pair = [nodes[i]!, nodes[i + MASTERS]!] as const;
    const [master, replica] = (await roleOf(pair[0])) === "master" ? pair : [pair[1], pair[0]];
    if ((await hasKey(master, METAS)) === (of === "positions")) return [master, replica];
  }
  throw new Error("no such pair");
}

const write = (key: string, offset: number) => {
  return { space: "v@1#0", key, epoch: 0, offset, bytes: new Uint8Array(1) };
};

describeWithRedis("a Redis Cluster", () => {
  it("says what its replicas lack, and counts another server in a master's place as a loss", async () => {
    const cluster = await startRedisCluster(OPTIONS);
    closers.push(() => cluster.close());
    const url = `redis://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
    const [store, other] = [await openRedisStore({ url }), await openRedisStore({ url: `${url}?replicas=0` })];
    closers.push(
      () => store.close(),
      () => other.close(),
    );
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    await store.commit(
      keys.map((key) => write(key, 1)),
      [],
    );
    await expect.poll(() => store.isReplicated(), { timeout: 30_000 }).toBe(true);
    const [master, replica] = await pairWith(cluster, "states");
    await cutOff(master, replica);
    // Not this one's, and of none that it has written to since.
    await other.commit(
      keys.map((key) => write(key, 2)),
      [],
    );
    expect(await store.isReplicated()).toBe(false);
    expect(await other.isReplicated()).toBe(true);
    const { connectionsLost, servers } = store;
    await replica.resume();
    await ask(replica, (client) => client.call("CLUSTER", "FAILOVER", "TAKEOVER"));
    // The deposed master is there, and no connection to it breaks.
    await expect.poll(() => roleOf(master), { timeout: 30_000 }).toBe("slave");
    await expect.poll(() => store.isReplicated().catch(() => false), { timeout: 30_000 }).toBe(true);
    expect(store.servers).not.toBe(servers);
    expect(store.connectionsLost).toBeGreaterThan(connectionsLost);
  });
});

describeWithBoth("workers on a Redis Cluster", () => {
  // Nothing is done to the broker: one for all.
  let kafka: KafkaBroker;
  beforeAll(async () => {
    kafka = await FaultHouse.startKafka();
  });
  afterAll(() => kafka?.close());

  it.each([
    ["states", "lives on"],
    ["states", "is killed, too"],
    ["positions", "lives on"],
  ] as const)(
    "fold anew what a failover has lost, of the node with %s; the worker %s",
    { timeout: 400_000 },
    async (of, worker) => {
      const house = await FaultHouse.openOnCluster(OPTIONS, kafka);
      closers.push(() => house.close());
      const server = await house.serve();
      server.mayGoBack();
      const first = await house.start();
      await house.send(1000);
      await first.until(({ folded }) => folded >= 2000);
      const [master, replica] = await pairWith(house.redis, of);
      await cutOff(master, replica);
      await house.send(2000, (n) => ({ user: `once-${n}` }));
      await house.sendAgain(0, 500);
      // They are served, though a replica does not have them.
      const countNow = (): Promise<number> => house.world.countOf(house.store, house.world.routes[0]!).catch(() => -1);
      await expect.poll(countNow, { timeout: 90_000 }).toBe(3000);
      await first.until(({ duplicates }) => duplicates >= 500, 90_000);
      await house.send(500);
      const written = await infoOf(master, "master_repl_offset");
      if (worker === "is killed, too") await first.kill("SIGKILL");
      await master.kill();
      await replica.resume();
      await expect.poll(() => roleOf(replica), { timeout: 60_000 }).toBe("master");
      await house.redis.agreed();
      expect(written - (await infoOf(replica, "second_repl_offset"))).toBeGreaterThan(10_000);
      if (worker === "is killed, too") await house.start();
      await house.send(500);
      const { found, right } = await house.outcome();
      expect(found).toEqual(right);
      expect(await server.verdict()).toEqual(HONEST);
    },
  );
});

const sizeOf = (node: RedisServer): Promise<number> => ask(node, (client) => client.dbsize());

describeWithBoth("workers on a Redis Cluster without replicas", () => {
  it.each(["lives on", "is killed, too"] as const)(
    "fold anew what a node has lost that was started again; the worker %s",
    { timeout: 400_000 },
    async (worker) => {
      const house = await FaultHouse.openOnCluster({});
      closers.push(() => house.close());
      const server = await house.serve();
      server.mayGoBack();
      const first = await house.start();
      await house.send(1000);
      await first.until(({ folded }) => folded >= 2000);
      const others: RedisServer[] = [];
      for (const node of house.redis.nodes) if (!(await hasKey(node, METAS))) others.push(node);
      const [node] = others;
      // What it has from now on is in its memory alone.
      await ask(node!, (client) => client.save());
      const saved = await sizeOf(node!);
      await house.send(2000, (n) => ({ user: `once-${n}` }));
      await house.sendAgain(0, 500);
      await first.until(({ duplicates }) => duplicates >= 500, 90_000);
      // The positions stand on another node, and speak for all of it.
      await house.world.settled(house.store, house.world.sent - 500, 90_000);
      if (worker === "is killed, too") await first.kill("SIGKILL");
      const before = await sizeOf(node!);
      await node!.kill();
      await node!.restart();
      await house.redis.agreed();
      expect(before - (await sizeOf(node!))).toBeGreaterThan(500);
      expect(await sizeOf(node!)).toBeGreaterThanOrEqual(saved);
      if (worker === "is killed, too") await house.start();
      await house.send(500);
      const { found, right } = await house.outcome();
      expect(found).toEqual(right);
      expect(await server.verdict()).toEqual(HONEST);
    },
  );
});
