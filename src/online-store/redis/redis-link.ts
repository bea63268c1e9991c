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
 *   while a replica takes over. While calls wait, the cluster is asked who has what now: a silent node holds up none for
 *   longer than it takes the cluster to replace it.
 *
 * Of the package's errors only the message goes on: they hold the command that failed, and AUTH holds the password.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import { storeTimeout, storeUnavailable } from "./call-limits.ts";
import { ClusterSeeds, messageOf } from "./cluster-seeds.ts";
import type { RedisAddress } from "./redis-address.ts";
import { FirstConnection } from "./first-connection.ts";
import {
  ANY_SEED,
  type Cluster,
  clusterOptions,
  importRedis,
  isRefusal,
  NODE_RETRY_MS,
  type Redis,
  singleOptions,
} from "./redis-client.ts";
import { ownerOf, silentServers } from "./silent-servers.ts";
import { SlotsRefresh } from "./slots-refresh.ts";

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
const NONE_YET = "there is no connection yet";

type Client = Redis | Cluster;

export class RedisLink {
  readonly #address: RedisAddress;
  readonly #client: Client;
  /** Of a cluster. */
  readonly #seeds: ClusterSeeds | null;
  readonly #slots: SlotsRefresh | null;
  readonly #first: FirstConnection;
  #downSinceMs: number | null = performance.now();
  /** Why it is down, or was last. */
  #reason = NONE_YET;
  #commands = 0;
  #bytes = 0;
  #isClosed = false;
  #connectionsLost = 0;
  /**
   * Of each call under way, what it does where the connection was lost, or the link closed, and when it began. No promise that
   * lasts as long as the connection: all that ever waited for it would stay, with its replies.
   */
  readonly #underWay = new Map<() => void, number>();
  /** Masters of a cluster. */
  #known: ReadonlySet<string> = new Set();

  private constructor(address: RedisAddress, client: Client, seeds: ClusterSeeds | null) {
    this.#address = address;
    this.#client = client;
    this.#seeds = seeds;
    this.#first = new FirstConnection(address.timeoutMs);
    const lost = (): void => {
      this.#connectionsLost += 1;
      // In a cluster the package itself asks again, of whoever has the slot then.
      if (address.isCluster) return;
      for (const tell of this.#underWay.keys()) tell();
    };
    const down = (): void => {
      // Attempts that fail while it is down are no further loss.
      if (this.#downSinceMs === null) lost();
      this.#downSinceMs ??= performance.now();
    };
    const failed = (error: Error): void => {
      // Of a cluster it says less than the errors of its nodes.
      if (address.isCluster) return;
      this.#reason = messageOf(error);
      if (isRefusal(error)) this.#first.refused();
    };
    const nodeFailed = (error: Error, node: string): void => {
      const isSilent = error.message === "timeout";
      this.#reason = `${node} ${isSilent ? "does not say who has which slots" : `failed (${messageOf(error)})`}`;
    };
    const stepped = (): void => this.#first.stepped();
    // A single server that is silent, or refuses, is connected to again and again.
    if (address.isCluster) client.on("connect", stepped);
    else client.once("connect", stepped);
    client.on("ready", () => void this.#probe());
    seeds?.onFound(stepped);
    client.on("close", down);
    client.on("end", down);
    client.on("error", failed);
    client.on("node error", nodeFailed);
    client.on("-node", lost);
    client.on("refresh", () => this.#lookAtServers());
    const oldestMs = (): number | null => this.#underWay.values().next().value ?? null;
    this.#slots = "nodes" in client ? new SlotsRefresh(client, address.timeoutMs, oldestMs) : null;
    client.connect().catch(failed);
  }

  /** Does not wait for the connection. Throws `REQUEST_INVALID` where the package is not installed. */
  static async open(address: RedisAddress, scripts: RedisScripts): Promise<RedisLink> {
    const { Redis: RedisClient, Cluster: ClusterClient } = await importRedis();
    const defined = Object.fromEntries(Object.entries(scripts).map(([name, lua]) => [name, { lua }]));
    if (!address.isCluster) {
      const client = new RedisClient({ ...address.nodes[0]!, ...singleOptions(address), scripts: defined });
      return new RedisLink(address, client, null);
    }
    const seeds = new ClusterSeeds(address, RedisClient);
    const options = clusterOptions(address, () => seeds.first());
    return new RedisLink(address, new ClusterClient([ANY_SEED], { ...options, scripts: defined }), seeds);
  }

  /** Resolves once there was one. Throws `STORE_UNAVAILABLE` where a round trip of the way there takes longer than one may. */
  async connected(): Promise<void> {
    const isThere = await this.#first.wait();
    if (!isThere || this.#isClosed) throw this.#unavailable(this.#why);
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
    this.#slots?.ask();
  }

  /** As `send`, to each server that has keys, by its name; what a cluster has moved elsewhere meanwhile is refused. */
  async sendToServers(commandsOf: (server: string) => readonly RedisCommand[]): Promise<Map<string, unknown[]>> {
    const parts = this.#masters().map(([server, client]) => ({ server, client, commands: commandsOf(server) }));
    const replies = await this.#inTime(
      parts.flatMap(({ commands }) => commands),
      true,
      () => parts.flatMap(({ client, commands }) => commands.map((command) => callBuffer(client, command))),
      parts.flatMap(({ server, commands }) => commands.map(() => server)),
    );
    return new Map(parts.map(({ server, commands }) => [server, replies.splice(0, commands.length)]));
  }

  /** Calls under way fail. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reason = "the store was closed";
    for (const tell of this.#underWay.keys()) tell();
    this.#slots?.stop();
    this.#seeds?.stop();
    this.#first.end();
    this.#client.disconnect();
  }

  /**
   * A server that is stopped still takes connections: it is up once it has answered something, if only a refusal; a cluster once
   * any of its masters has.
   */
  async #probe(): Promise<void> {
    const client = this.#client;
    do {
      const masters = "nodes" in client ? client.nodes("master") : [client];
      const answers = masters.map((master) =>
        master.call("ping").catch((error: Error) => {
          if (error.name !== "ReplyError") throw error;
        }),
      );
      const isUp = await Promise.any(answers).then(
        () => true,
        () => false,
      );
      if (isUp) this.#isUp();
      if (isUp || !this.isCluster) return;
      await sleep(NODE_RETRY_MS);
    } while (client.status === "ready" && !this.#isClosed);
  }

  #isUp(): void {
    this.#downSinceMs = null;
    if (this.#reason === NONE_YET) this.#reason = "the connection was lost";
    this.#seeds?.up();
    this.#first.end();
  }

  /** All servers that have keys. Throws `STORE_UNAVAILABLE` where the one that has some is not known. */
  #masters(): [server: string, client: Redis][] {
    if (!("nodes" in this.#client)) return [[this.#address.shown, this.#client]];
    const masters = this.#client.nodes("master").map((node): [string, Redis] => [serverOf(node), node]);
    const known = new Set(masters.map(([server]) => server));
    const away = ownersOf(this.#client).find((server) => !known.has(server));
    if (away === undefined && masters.length > 0) return masters;
    this.refreshServers();
    throw this.#unavailable(away === undefined ? this.#why : `${away} is away, and nothing in its place yet`);
  }

  /** A server that takes another's place may have less than that had, though no connection to it broke. */
  #lookAtServers(): void {
    if (!("nodes" in this.#client) || this.#client.status !== "ready") return;
    const servers = this.#client.nodes("master").map(serverOf);
    if (servers.every((server) => this.#known.has(server))) return;
    if (this.#known.size > 0) this.#connectionsLost += 1;
    this.#known = new Set(servers);
  }

  /** `servers`: which each command goes to, where that is not by its key. */
  #inTime(
    commands: readonly RedisCommand[],
    mayRepeat: boolean,
    begin: () => Promise<unknown>[],
    servers?: readonly string[],
  ): Promise<unknown[]> {
    if (commands.length === 0) return Promise.resolve([]);
    const { timeoutMs } = this.#address;
    const isDown = this.#downSinceMs !== null && performance.now() - this.#downSinceMs > timeoutMs;
    if (this.#isClosed || isDown) return Promise.reject(this.#unavailable(this.#why));
    return new Promise((resolve, reject) => {
      /** Of the latest asking; what came of those before is of no use. */
      let number = 0;
      let replies: readonly Promise<unknown>[] = [];
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
        const beginning = (): Promise<unknown>[] => {
          const begun = begin();
          replies = begun;
          return begun;
        };
        this.#begun(commands, beginning).then(
          (found) => {
            if (asking !== number) return;
            end();
            if (this.#client.status === "ready") this.#isUp();
            resolve(found);
          },
          (error: unknown) => {
            if (asking === number) fail(error);
          },
        );
      };
      const lost = (): void => (mayRepeat && !this.#isClosed ? ask() : fail(this.#unavailable(this.#why)));
      const late = async (): Promise<void> => {
        const error = await this.#late(commands, replies, servers);
        if (number > 0) fail(error);
      };
      // Where this process was held up itself, what has come meanwhile is read before.
      const timer = setTimeout(() => setImmediate(() => void late()), timeoutMs);
      this.#underWay.set(lost, performance.now());
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

  /** Why there is no connection. */
  get #why(): string {
    return (this.#isClosed ? null : this.#seeds?.trouble) ?? this.#reason;
  }

  async #late(
    commands: readonly RedisCommand[],
    replies: readonly Promise<unknown>[],
    servers?: readonly string[],
  ): Promise<OnefoldError> {
    const client = this.#client;
    if (!("nodes" in client)) {
      return this.#downSinceMs === null ? storeTimeout(this.#address) : this.#unavailable(this.#why);
    }
    // Some of its nodes may have answered others, or none, and it be known who has what.
    if (client.status !== "ready") return this.#unavailable(this.#why);
    const serverOf = (i: number): string | undefined => servers?.[i] ?? ownerOf(commands[i]!, client.slots);
    return storeTimeout(this.#address, await silentServers(commands, replies, serverOf));
  }

  #failed(error: Error): OnefoldError {
    const message = messageOf(error);
    if (/command timed out/i.test(message)) return this.#unavailable(this.#why);
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
