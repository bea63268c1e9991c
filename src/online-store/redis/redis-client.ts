/** The package `ioredis`, and what it is told of how to connect, when to give up and when to come back. */
import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from "ioredis";
import { OnefoldError } from "../../base/errors.ts";
import type { RedisAddress, RedisNode } from "./redis-address.ts";

export type { Cluster, Redis };
type Legacy = { readonly replyMapping?: "legacy" };
export type NodeOptions = RedisOptions & Legacy;
type NodeOptionsInCluster = NonNullable<ClusterOptions["redisOptions"]> & { replyMapping?: "legacy" };

const RECONNECT_MS_MIN = 20;
const RECONNECT_MS_MAX = 1000;
export const NODE_RETRY_MS = 50;
/** By which the time limit of single commands, which only clears up, is behind the one that callers see. */
const CLEAR_UP_FACTOR = 2;
/** A connection that is given up is broken after this, whether the server closes it or is silent. */
const DISCONNECT_MS = 100;

/** One that stands for all nodes that the address has: it is resolved to a node each time that a cluster is connected to. */
export const ANY_SEED: ClusterNode = { host: "seeds" };

export function nodeOptions({ tls, username, password, timeoutMs }: RedisAddress): NodeOptions {
  return {
    ...(tls === null ? {} : { tls: tls.ca === null ? {} : { ca: tls.ca } }),
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    protocol: 2,
    disableClientInfo: true,
    // The check needs a right of its own, to INFO.
    enableReadyCheck: false,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs * CLEAR_UP_FACTOR,
    socketTimeout: timeoutMs,
    disconnectTimeout: DISCONNECT_MS,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
  };
}

export function singleOptions(address: RedisAddress): NodeOptions {
  return {
    ...nodeOptions(address),
    db: address.database,
    lazyConnect: true,
    retryStrategy: reconnectDelay,
    reconnectOnError: afterReply,
  };
}

/** `firstSeed`: a node to begin with. */
export function clusterOptions(
  address: RedisAddress,
  firstSeed: () => Promise<RedisNode>,
): Omit<ClusterOptions, "redisOptions"> & { readonly redisOptions: NodeOptionsInCluster } {
  const { timeoutMs } = address;
  return {
    redisOptions: nodeOptions(address) as NodeOptionsInCluster,
    lazyConnect: true,
    enableReadyCheck: false,
    // What `ANY_SEED` is resolved by.
    useSRVRecords: true,
    resolveSrv: (_, told) => {
      void firstSeed().then(({ host, port }) => told(null, [{ name: host, port, priority: 0, weight: 0 }]));
    },
    dnsLookup: (host, told) => told(null, host),
    clusterRetryStrategy: reconnectDelay,
    slotsRefreshTimeout: timeoutMs * CLEAR_UP_FACTOR,
    // Closed while one is under way, the package would begin its interval anew, for ever: `SlotsRefresh` has one of its own.
    slotsRefreshInterval: 0,
    retryDelayOnFailover: NODE_RETRY_MS,
    retryDelayOnClusterDown: NODE_RETRY_MS,
    retryDelayOnTryAgain: NODE_RETRY_MS,
    // Tried again until time is up, whatever number that is.
    maxRedirections: Math.max(16, Math.ceil(timeoutMs / NODE_RETRY_MS) * CLEAR_UP_FACTOR),
  };
}

const PASSING = /^(LOADING|READONLY|MASTERDOWN)\b/;

/** A server that is still loading, or has become a replica, is one to come back to with the same command. */
function afterReply(error: Error): 2 | false {
  return PASSING.test(error.message) ? 2 : false;
}

/** What a server has said, and will say again: that the password is wrong, or is missing. */
export function isRefusal(error: Error): boolean {
  return error.name === "ReplyError" && !PASSING.test(error.message);
}

/** Doubles, with a tenth of chance, so that many clients do not come back in one moment. */
export function reconnectDelay(times: number): number {
  const delayMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(times - 1, 10));
  return Math.round(delayMs * (0.9 + Math.random() * 0.2));
}

export async function importRedis(): Promise<{ readonly Redis: typeof Redis; readonly Cluster: typeof Cluster }> {
  try {
    return await import("ioredis");
  } catch (cause) {
    throw new OnefoldError("REQUEST_INVALID", "an online store on Redis needs the package ioredis", {
      hint: "install it: npm install ioredis",
      cause,
    });
  }
}
