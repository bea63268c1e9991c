/**
 * How often a cluster is asked who has which slots, and how long a node has to say so. While calls wait, it is asked as often as a
 * silent node may have been replaced.
 */
import type { Cluster } from "./redis-client.ts";

const ASK_MS_MAX = 1000;
const ASK_PARTS = 5;
/** A server that has taken another's place is noticed after this at the latest, also by a client that is told of none. */
const LOOK_AT_SERVERS_MS = 5000;
/** A node has as long, a part of the time limit at most, then another is asked; twice as long where none had said so. */
const REFRESH_MS_MAX = 1000;
const REFRESH_PARTS = 3;

export class SlotsRefresh {
  readonly #cluster: Cluster;
  readonly #timeoutMs: number;
  readonly #asking: NodeJS.Timeout;
  #askedMs = performance.now();

  /** `oldestMs`: when the oldest call began that still waits, if any. */
  constructor(cluster: Cluster, timeoutMs: number, oldestMs: () => number | null) {
    this.#cluster = cluster;
    this.#timeoutMs = timeoutMs;
    const { options } = cluster;
    const refreshMs = Math.min(REFRESH_MS_MAX, Math.ceil(timeoutMs / REFRESH_PARTS));
    // While it is connected to, one node alone is asked, which has answered before: it has more time.
    const { slotsRefreshTimeout } = options;
    cluster.on("ready", () => (options.slotsRefreshTimeout = refreshMs));
    cluster.on("refresh", () => {
      this.#askedMs = performance.now();
      if (this.#isReady) options.slotsRefreshTimeout = refreshMs;
    });
    cluster.on("close", () => (options.slotsRefreshTimeout = slotsRefreshTimeout));
    const everyMs = Math.min(ASK_MS_MAX, Math.ceil(timeoutMs / ASK_PARTS));
    const look = (): void => {
      const nowMs = performance.now();
      const areWaiting = nowMs - (oldestMs() ?? Number.POSITIVE_INFINITY) >= everyMs;
      if (areWaiting || nowMs + everyMs - this.#askedMs > LOOK_AT_SERVERS_MS) this.ask();
    };
    this.#asking = setInterval(look, everyMs).unref();
  }

  /** The answer counts from when it comes. Does nothing while there is no connection: whoever makes one asks. */
  ask(): void {
    if (!this.#isReady) return;
    this.#askedMs = performance.now();
    const { options } = this.#cluster;
    // Of all who ask for one refresh the same.
    const { slotsRefreshTimeout: waitedMs = 0 } = options;
    this.#cluster.refreshSlotsCache((error) => {
      if (error && this.#isReady) options.slotsRefreshTimeout = Math.min(2 * waitedMs, this.#timeoutMs);
    });
  }

  stop(): void {
    clearInterval(this.#asking);
  }

  get #isReady(): boolean {
    return this.#cluster.status === "ready";
  }
}
