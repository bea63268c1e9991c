/**
 * The way to a Redis or a Redis Cluster, by the package `ioredis`: reconnects by itself, and answers every call within
 * the address's time limit, with what was asked for or with an error that says why not.
 *
 * - While the connection is down, calls wait for it as long as they may take at all. Once it has been down for that
 *   long, they are refused at once, until it is back: an outage costs each request next to nothing.
 * - A server that is connected and silent for as long counts as down: its connection is broken and made anew.
 * - What may wait is bounded, in commands and in bytes. Past that, calls are refused and nothing of them is sent.
 * - What was under way when a connection broke is sent again over the next one, but for what must not be: a server
 *   that is back may have less than it had answered for.
 * - In a cluster a command goes to the node that has its first key's slot, follows MOVED and ASK, and is tried again
 *   while a replica takes over.
 *
 * Of the package's errors only the message goes on: they hold the command that failed, and AUTH holds the password.
 */
import type { Cluster, ClusterOptions, Redis, RedisOptions } from "ioredis";
import { OnefoldError } from "../../base/errors.ts";
import { storeTimeout, storeUnavailable } from "./call-limits.ts";
import type { RedisAddress } from "./redis-address.ts";

export type RedisArgument = string | Buffer | number;

/** A command with its arguments; where it is a script's, `keyCount` of them are keys. */
export interface RedisCommand {
  readonly name: string;
  readonly args: readonly RedisArgument[];
}

/** A script by the name that it is called by, as a command: first the number of keys, then keys and arguments. */
export type RedisScripts = Readonly<Record<string, string>>;

const COMMANDS_MAX = 50_000;
const BYTES_MAX = 128 * 1024 * 1024;
const RECONNECT_MS_MIN = 20;
const RECONNECT_MS_MAX = 1000;
const NODE_RETRY_MS = 50;
/** A server that has taken another's place is noticed after this at the latest, also by a client that is told of none. */
const LOOK_AT_SERVERS_MS = 5000;
/** By which the time limit of single commands, which only clears up, is behind the one that callers see. */
const CLEAR_UP_FACTOR = 2;

type Client = Redis | Cluster;

export class RedisLink {
  readonly #address: RedisAddress;
  readonly #client: Client;
  #downSinceMs: number | null = performance.now();
  /** Why it is down, or was last. */
  #reason = "there is no connection yet";
  #commands = 0;
  #bytes = 0;
  #isClosed = false;
  #connectionsLost = 0;
  /**
   * Of each call under way, what it does where the connection was lost, or the link closed. No promise that lasts as long as the connection: all that
   * ever waited for it would stay, with its replies.
   */
  readonly #underWay = new Set<() => void>();
  /** Masters of a cluster. */
  #known: ReadonlySet<string> = new Set();

  private constructor(address: RedisAddress, client: Client) {
    this.#address = address;
    this.#client = client;
    const lost = (): void => {
      this.#connectionsLost += 1;
      // In a cluster the package itself asks again, of whoever has the slot then.
      if (address.isCluster) return;
      for (const tell of this.#underWay) tell();
    };
    const down = (): void => {
      // Attempts that fail while it is down are no further loss.
      if (this.#downSinceMs === null) lost();
      this.#downSinceMs ??= performance.now();
    };
    const failed = (error: Error): void => {
      this.#reason = messageOf(error);
    };
    client.on("ready", () => void this.#probe());
    client.on("close", down);
    client.on("end", down);
    client.on("error", failed);
    client.on("node error", failed);
    client.on("-node", lost);
    client.on("refresh", () => this.#lookAtServers());
    client.connect().catch(failed);
  }

  /** Does not wait for the connection. Throws `REQUEST_INVALID` where the package is not installed. */
  static async open(address: RedisAddress, scripts: RedisScripts): Promise<RedisLink> {
    const { Redis: RedisClient, Cluster: ClusterClient } = await importRedis();
    const defined = Object.fromEntries(Object.entries(scripts).map(([name, lua]) => [name, { lua }]));
    const client = address.isCluster
      ? new ClusterClient([...address.nodes], { ...clusterOptions(address), scripts: defined })
      : new RedisClient({ ...address.nodes[0]!, ...singleOptions(address), scripts: defined });
    return new RedisLink(address, client);
  }

  get isCluster(): boolean {
    return this.#address.isCluster;
  }

  /**
   * Times that the connection to a server broke, or that another was seen in the place of one. What the store has may be
   * less after each.
   */
  get connectionsLost(): number {
    this.#lookAtServers();
    return this.#connectionsLost;
  }

  /** Those of a cluster that are written to, as far as they are known and there; null of a single server. */
  get servers(): string | null {
    if (!("nodes" in this.#client)) return null;
    return this.#client.nodes("master").map(serverOf).toSorted().join(",");
  }

  /** Replies in the order of the commands, texts in them as buffers. Throws `STORE_UNAVAILABLE`, `STORE_TIMEOUT`. */
  send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    return this.#inTime(commands, true, () => commands.map((command) => callBuffer(this.#client, command)));
  }

  /** As `send`, but only where no connection was lost since there were `connectionsLost`: then it fails, and nothing is sent. */
  async sendUnlessLost(commands: readonly RedisCommand[], connectionsLost: number): Promise<unknown[]> {
    const isSame = this.connectionsLost === connectionsLost && this.#downSinceMs === null;
    if (!isSame) throw this.#unavailable("a connection was lost while a commit was under way");
    return this.#inTime(commands, false, () => commands.map((command) => callBuffer(this.#client, command)));
  }

  /** Asks a cluster anew who has what; the answer counts from when it comes. */
  refreshServers(): void {
    if ("refreshSlotsCache" in this.#client) this.#client.refreshSlotsCache();
  }

  /** As `send`, to each server that has keys, by its name; what a cluster has moved elsewhere meanwhile is refused. */
  async sendToServers(commandsOf: (server: string) => readonly RedisCommand[]): Promise<Map<string, unknown[]>> {
    const parts = this.#masters().map(([server, client]) => ({ server, client, commands: commandsOf(server) }));
    const replies = await this.#inTime(
      parts.flatMap(({ commands }) => commands),
      true,
      () => parts.flatMap(({ client, commands }) => commands.map((command) => callBuffer(client, command))),
    );
    return new Map(parts.map(({ server, commands }) => [server, replies.splice(0, commands.length)]));
  }

  /** Calls under way fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reason = "the store was closed";
    for (const tell of this.#underWay) tell();
    this.#client.disconnect();
  }

  /** A server that is stopped still takes connections: it is up once it has answered something, if only a refusal. */
  async #probe(): Promise<void> {
    try {
      await this.#client.call("ping");
    } catch (error) {
      if ((error as Error).name !== "ReplyError") return;
    }
    this.#downSinceMs = null;
  }

  /** All servers that have keys. Throws `STORE_UNAVAILABLE` where the one that has some is not known. */
  #masters(): [server: string, client: Redis][] {
    if (!("nodes" in this.#client)) return [[this.#address.shown, this.#client]];
    const masters = this.#client.nodes("master").map((node): [string, Redis] => [serverOf(node), node]);
    const known = new Set(masters.map(([server]) => server));
    const away = ownersOf(this.#client).find((server) => !known.has(server));
    if (away === undefined && masters.length > 0) return masters;
    this.refreshServers();
    throw this.#unavailable(away === undefined ? this.#reason : `${away} is away, and nothing in its place yet`);
  }

  /** A server that takes another's place may have less than that had, though no connection to it broke. */
  #lookAtServers(): void {
    if (!("nodes" in this.#client) || this.#client.status !== "ready") return;
    const servers = this.#client.nodes("master").map(serverOf);
    if (servers.every((server) => this.#known.has(server))) return;
    if (this.#known.size > 0) this.#connectionsLost += 1;
    this.#known = new Set(servers);
  }

  #inTime(commands: readonly RedisCommand[], mayRepeat: boolean, begin: () => Promise<unknown>[]): Promise<unknown[]> {
    if (commands.length === 0) return Promise.resolve([]);
    const { timeoutMs } = this.#address;
    const isDown = this.#downSinceMs !== null && performance.now() - this.#downSinceMs > timeoutMs;
    if (this.#isClosed || isDown) return Promise.reject(this.#unavailable(this.#reason));
    return new Promise((resolve, reject) => {
      /** Of the latest asking; what came of those before is of no use. */
      let number = 0;
      const end = (): void => {
        number = 0;
        clearTimeout(timer);
        this.#underWay.delete(lost);
      };
      const fail = (error: unknown): void => {
        end();
        reject(error instanceof OnefoldError ? error : this.#failed(error as Error));
      };
      const ask = (): void => {
        const asking = ++number;
        this.#begun(commands, begin).then(
          (replies) => {
            if (asking !== number) return;
            end();
            if (this.#client.status === "ready") this.#downSinceMs = null;
            resolve(replies);
          },
          (error: unknown) => {
            if (asking === number) fail(error);
          },
        );
      };
      const lost = (): void => (mayRepeat && !this.#isClosed ? ask() : fail(this.#unavailable(this.#reason)));
      const timer = setTimeout(() => {
        const error = this.#downSinceMs === null ? storeTimeout(this.#address) : this.#unavailable(this.#reason);
        fail(error);
      }, timeoutMs);
      this.#underWay.add(lost);
      ask();
    });
  }

  async #begun(commands: readonly RedisCommand[], begin: () => Promise<unknown>[]): Promise<unknown[]> {
    const release = this.#admit(commands);
    let replies: Promise<unknown>[];
    try {
      replies = begin();
    } catch (error) {
      release();
      throw error;
    }
    // What time is up for is still under way, and takes room until it is settled.
    void Promise.allSettled(replies).then(release);
    return Promise.all(replies);
  }

  #admit(commands: readonly RedisCommand[]): () => void {
    const bytes = commands.reduce((sum, { args }) => sum + args.reduce<number>((all, arg) => all + sizeOf(arg), 0), 0);
    const isFull = this.#commands + commands.length > COMMANDS_MAX || this.#bytes + bytes > BYTES_MAX;
    if (isFull && this.#commands > 0) throw this.#unavailable(`${this.#commands} commands wait for it`);
    this.#commands += commands.length;
    this.#bytes += bytes;
    return () => {
      this.#commands -= commands.length;
      this.#bytes -= bytes;
    };
  }

  #failed(error: Error): OnefoldError {
    const message = messageOf(error);
    if (/command timed out/i.test(message)) return this.#unavailable(this.#reason);
    return this.#unavailable(message);
  }

  #unavailable(why: string): OnefoldError {
    return storeUnavailable(this.#address, why);
  }
}

function serverOf({ options: { host, port } }: Redis): string {
  return `${host}:${port}`;
}

/** Who has each slot, as far as is known, whether it is connected to or not. */
function ownersOf(cluster: Cluster): string[] {
  const slots: readonly (readonly string[] | undefined)[] = cluster.slots;
  return [...new Set(slots)].flatMap((servers) => servers?.slice(0, 1) ?? []);
}

function callBuffer(client: Client, { name, args }: RedisCommand): Promise<unknown> {
  const scripts = client as unknown as Record<string, ((...args: RedisArgument[]) => Promise<unknown>) | undefined>;
  const script = scripts[`${name}Buffer`];
  return script === undefined ? client.callBuffer(name, [...args]) : script.apply(client, [...args]);
}

function sizeOf(arg: RedisArgument): number {
  return typeof arg === "number" ? 8 : arg.length;
}

function messageOf(error: Error): string {
  return error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}

function nodeOptions({
  tls,
  username,
  password,
  timeoutMs,
}: RedisAddress): RedisOptions & { readonly replyMapping?: "legacy" } {
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
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
  };
}

function singleOptions(address: RedisAddress): RedisOptions & { readonly replyMapping?: "legacy" } {
  return {
    ...nodeOptions(address),
    db: address.database,
    lazyConnect: true,
    retryStrategy: reconnectDelay,
    reconnectOnError: afterReply,
  };
}

function clusterOptions(address: RedisAddress): Omit<ClusterOptions, "redisOptions"> & {
  readonly redisOptions: NonNullable<ClusterOptions["redisOptions"]> & { replyMapping?: "legacy" };
} {
  const { timeoutMs } = address;
  return {
    redisOptions: nodeOptions(address) as NonNullable<ClusterOptions["redisOptions"]> & { replyMapping?: "legacy" },
    lazyConnect: true,
    enableReadyCheck: false,
    clusterRetryStrategy: reconnectDelay,
    slotsRefreshTimeout: timeoutMs,
    slotsRefreshInterval: LOOK_AT_SERVERS_MS,
    retryDelayOnFailover: NODE_RETRY_MS,
    retryDelayOnClusterDown: NODE_RETRY_MS,
    retryDelayOnTryAgain: NODE_RETRY_MS,
    // Tried again until time is up, whatever number that is.
    maxRedirections: Math.max(16, Math.ceil(timeoutMs / NODE_RETRY_MS) * CLEAR_UP_FACTOR),
  };
}

/** A server that is still loading, or has become a replica, is one to come back to with the same command. */
function afterReply(error: Error): 2 | false {
  return /^(LOADING|READONLY|MASTERDOWN)\b/.test(error.message) ? 2 : false;
}

/** Doubles, with a tenth of chance, so that many clients do not come back in one moment. */
function reconnectDelay(times: number): number {
  const delayMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(times - 1, 10));
  return Math.round(delayMs * (0.9 + Math.random() * 0.2));
}

async function importRedis(): Promise<{ readonly Redis: typeof Redis; readonly Cluster: typeof Cluster }> {
  try {
    return await import("ioredis");
  } catch (cause) {
    throw new OnefoldError("REQUEST_INVALID", "an online store on Redis needs the package ioredis", {
      hint: "install it: npm install ioredis",
      cause,
    });
  }
}
