/**
 * Which node of a cluster a client begins with. All that the address names are asked who has which slots, in any order, each a
 * moment after the one before, and the first that answers is taken: one that is silent, does not run, or whose name is known to
 * nobody costs that moment. One that fails is asked again until one answers. What one has answered may be of no use, such as
addresses that cannot be reached: until the cluster is up, each time is later than the one before.
 */
import type { RedisAddress, RedisNode } from "./redis-address.ts";
import { nodeOptions, type Redis, reconnectDelay } from "./redis-client.ts";

/** By then one that is there has mostly answered, and no other is asked; all are within a part of the time limit. */
const NEXT_MS = 50;
const ASKED_PART = 2;
/** Of the nodes that did not answer, as many are named. */
const NAMED_MAX = 6;

export class ClusterSeeds {
  readonly #address: RedisAddress;
  readonly #Redis: typeof Redis;
  /** Of those that are being asked. */
  readonly #trouble = new Map<RedisNode, string>();
  #asking: Asking | null = null;
  #isStopped = false;
  #hasAnswered = false;
  /** Times that one has answered since the cluster was up. */
  #inVain = 0;
  #found = (): void => {};

  constructor(address: RedisAddress, RedisClient: typeof Redis) {
    this.#address = address;
    this.#Redis = RedisClient;
  }

  /** `found` is called each time that one has answered. */
  onFound(found: () => void): void {
    this.#found = found;
  }

  /** The cluster has answered more than who has which slots. */
  up(): void {
    this.#inVain = 0;
  }

  /** Why none is known yet; null while none is looked for, or some that may answer once more have not failed yet. */
  get trouble(): string | null {
    const { nodes } = this.#address;
    if (this.#asking === null || (this.#hasAnswered && this.#trouble.size < nodes.length)) return null;
    const each = nodes.map((node) => `${nameOf(node)} ${this.#trouble.get(node) ?? "has not answered"}`);
    const more = each.length > NAMED_MAX ? `, and ${each.length - NAMED_MAX} more` : "";
    return `no node has said who has which slots: ${each.slice(0, NAMED_MAX).join(", ")}${more}`;
  }

  /** Waits for as long as none answers, unless it is stopped: then for ever. Of two calls the second alone is answered. */
  first(): Promise<RedisNode> {
    this.#asking?.stop();
    this.#asking = null;
    this.#trouble.clear();
    return new Promise((resolve) => {
      if (this.#isStopped) return;
      const found = (node: RedisNode): void => {
        asking.stop();
        this.#asking = null;
        this.#hasAnswered = true;
        this.#inVain += 1;
        this.#found();
        resolve(node);
      };
      const afterMs = this.#inVain === 0 ? 0 : reconnectDelay(this.#inVain);
      const asking = new Asking(this.#address, this.#Redis, this.#trouble, found, afterMs);
      this.#asking = asking;
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#asking?.stop();
  }
}

/** All nodes once, and each again that failed, until it is stopped. */
class Asking {
  readonly #address: RedisAddress;
  readonly #Redis: typeof Redis;
  readonly #trouble: Map<RedisNode, string>;
  readonly #found: (node: RedisNode) => void;
  readonly #clients = new Set<Redis>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isOver = false;

  constructor(
    address: RedisAddress,
    RedisClient: typeof Redis,
    trouble: Map<RedisNode, string>,
    found: (node: RedisNode) => void,
    afterMs: number,
  ) {
    this.#address = address;
    this.#Redis = RedisClient;
    this.#trouble = trouble;
    this.#found = found;
    const { nodes, timeoutMs } = address;
    const nextMs = Math.min(NEXT_MS, timeoutMs / ASKED_PART / nodes.length);
    for (const [i, node] of shuffled(nodes).entries()) this.#askIn(afterMs + i * nextMs, node, 1);
  }

  stop(): void {
    this.#isOver = true;
    for (const client of this.#clients) client.disconnect();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #askIn(ms: number, node: RedisNode, times: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#ask(node, times);
    }, ms);
    this.#timers.add(timer);
  }

  async #ask(node: RedisNode, times: number): Promise<void> {
    const why = await this.#failure(node);
    if (this.#isOver) return;
    if (why === null) {
      this.#found(node);
      return;
    }
    this.#trouble.set(node, why);
    this.#askIn(reconnectDelay(times), node, times + 1);
  }

  /** Null where it has answered. */
  async #failure(node: RedisNode): Promise<string | null> {
    const client = new this.#Redis({ ...nodeOptions(this.#address), ...node, lazyConnect: true, retryStrategy: null });
    this.#clients.add(client);
    /** Of the connection: what is said of the command is only that there is none. */
    let broken = null as Error | null;
    client.on("error", (error: Error) => (broken ??= error));
    try {
      const slots = (await client.cluster("SLOTS")) as unknown[];
      return slots.length > 0 ? null : "knows of no slots";
    } catch (error) {
      return `failed (${messageOf(broken ?? (error as Error))})`;
    } finally {
      this.#clients.delete(client);
      client.disconnect();
    }
  }
}

function shuffled<T>(all: readonly T[]): T[] {
  return all
    .map((one) => ({ one, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

function nameOf({ host, port }: RedisNode): string {
  return `${host}:${port}`;
}

/** Some errors of the system have a code alone. */
export function messageOf(error: Error): string {
  return error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}
