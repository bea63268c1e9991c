/**
 * Redis Cluster on one machine: masters that share the slots, each with as many replicas as are asked for.
 */
import { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./free-port.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import { NotStarted, startAnew } from "./start-anew.ts";

const SLOTS = 16_384;
/** A dead node is taken for dead, and its replica put in its place, after this. */
const NODE_TIMEOUT_MS = 1000;
const AGREE_MS_MAX = 60_000;

export interface RedisClusterOptions {
  readonly masters?: number;
  readonly replicasPerMaster?: number;
  /** As for one server. */
  readonly durable?: boolean;
  readonly config?: readonly string[];
}

export interface RedisCluster {
  /** The masters as they were at the start, then their replicas. */
  readonly nodes: readonly RedisServer[];
  /** `redis://127.0.0.1:PORT` of each node. */
  readonly urls: readonly string[];
  /** Resolves once every node that runs holds the cluster for whole, and every replica has its master's data. */
  agreed(): Promise<void>;
  close(): Promise<void>;
}

/** Three masters without replicas, unless asked otherwise. */
export function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  return startAnew(() => startOnce(options));
}

async function startOnce(options: RedisClusterOptions): Promise<RedisCluster> {
  const { masters = 3, replicasPerMaster = 0, durable = false, config = [] } = options;
  const busPorts = await freePorts(masters * (1 + replicasPerMaster));
  const nodes: RedisServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()));
  };
  const agreed = (): Promise<void> => untilAgreed(nodes);
  try {
    for (const busPort of busPorts) {
      const lines = [
        "cluster-enabled yes",
        `cluster-port ${busPort}`,
        `cluster-node-timeout ${NODE_TIMEOUT_MS}`,
        // A replica is not kept waiting for others that may want the same copy.
        "repl-diskless-sync-delay 0",
      ];
      nodes.push(await startRedis({ durable, config: [...lines, ...config] }));
    }
    await join(nodes, busPorts, masters);
    await agreed();
  } catch (error) {
    await close();
    throw error;
  }
  return { nodes, urls: nodes.map((node) => node.url), agreed, close };
}

async function join(nodes: readonly RedisServer[], busPorts: readonly number[], masters: number): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis(port));
  try {
    for (const [i, client] of clients.slice(0, masters).entries()) {
      const first = Math.round((i * SLOTS) / masters);
      const last = Math.round(((i + 1) * SLOTS) / masters) - 1;
      await client.call("CLUSTER", "ADDSLOTSRANGE", first, last);
    }
    for (const [i, node] of nodes.entries()) {
      if (i > 0) await clients[0]!.call("CLUSTER", "MEET", "127.0.0.1", node.port, busPorts[i]!);
    }
    const ids = await Promise.all(clients.map(async (client) => String(await client.call("CLUSTER", "MYID"))));
    for (const [i, client] of clients.entries()) {
      if (i < masters) continue;
      await until(async () => String(await client.call("CLUSTER", "NODES")).includes(ids[i % masters]!));
      await client.call("CLUSTER", "REPLICATE", ids[i % masters]!);
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function untilAgreed(nodes: readonly RedisServer[]): Promise<void> {
  for (const { port } of nodes) {
    const client = new Redis(port, { lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => undefined);
    // One that a test has killed has no say.
    const runs = await client.connect().then(
      () => true,
      () => false,
    );
    try {
      if (runs) await until(() => isWhole(client, nodes.length));
    } finally {
      client.disconnect();
    }
  }
}

async function isWhole(client: Redis, nodes: number): Promise<boolean> {
  const info = String(await client.call("CLUSTER", "INFO"));
  const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]);
  const replication = await client.info("replication");
  const isCopy = replication.includes("role:master") || replication.includes("master_link_status:up");
  return info.includes("cluster_state:ok") && known === nodes && isCopy;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + AGREE_MS_MAX;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new NotStarted("the nodes of a Redis Cluster do not agree");
    await sleep(50);
  }
}
