/**
 * Whether what the masters of a cluster have acknowledged is with their replicas, too: what a failover takes nothing from.
 *
 *     each master:  SET <a key in one of its slots>  ─▶  WAIT <its replicas> <ms>  ─▶  how many have all up to that key
 *
 * A master sends its writes to its replicas in one order, so the replicas that have the key have every write that was
 * acknowledged before, whoever wrote it. All replicas that the master knows of are waited for, those too that do not
 * answer: one that wakes up may take the master's place with what it had. Only one that the cluster has held for dead
 * for longer than Redis itself would let it take over (`cluster-replica-validity-factor`) is left out.
 */
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";
import { tagInSlot } from "./hash-slot.ts";

/** By Redis's defaults, one that has been cut off for 160 s does not take over. */
const DEAD_MS = 180_000;
/** So long what was asked about a master is taken for true. */
const FACTS_MS = 1000;
const WAIT_MS_MAX = 100;

export interface MasterFacts {
  readonly firstSlot: number;
  /** Their ids. */
  readonly replicas: readonly { readonly id: string; readonly isDead: boolean }[];
}

export interface ClusterReplicasOptions {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  /** Of each master, so many at most are waited for. */
  readonly replicasMax: number;
  readonly timeoutMs: number;
}

export class ClusterReplicas {
  readonly #options: ClusterReplicasOptions;
  readonly #dead = new DeadReplicas();
  #facts: ReadonlyMap<string, MasterFacts> = new Map();
  #factsOf: string | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ClusterReplicasOptions) {
    this.#options = options;
  }

  /** Of all that was acknowledged before the call. Throws `STORE_UNAVAILABLE`, `STORE_TIMEOUT`. */
  async haveAll(): Promise<boolean> {
    const { link, keys, replicasMax, timeoutMs } = this.#options;
    if (replicasMax === 0) return true;
    try {
      const facts = await this.#ask();
      if (facts === null) return false;
      const counts = new Map(
        Array.from(facts, ([server, { replicas }]) => [server, Math.min(replicasMax, this.#dead.alive(replicas))]),
      );
      const waitMs = Math.max(1, Math.min(WAIT_MS_MAX, Math.floor(timeoutMs / 4)));
      const replies = await link.sendToServers((server) => {
        const count = counts.get(server) ?? 0;
        if (count === 0) return [];
        const key = keys.mark(tagInSlot(facts.get(server)!.firstSlot));
        return [
          { name: "set", args: [key, ""] },
          { name: "wait", args: [count, waitMs] },
        ];
      });
      return [...replies].every(([server, [, have = 0]]) => (have as number) >= (counts.get(server) ?? 0));
    } catch (error) {
      this.#factsOf = null;
      throw error;
    }
  }

  /** Null while the client takes one for a master that is none. */
  async #ask(): Promise<ReadonlyMap<string, MasterFacts> | null> {
    const { link } = this.#options;
    const { servers } = link;
    const isFresh = performance.now() - this.#askedMs < FACTS_MS;
    if (isFresh && servers === this.#factsOf) return this.#facts;
    const askedMs = performance.now();
    const replies = await link.sendToServers(() => [{ name: "cluster", args: ["nodes"] }]);
    const facts = new Map<string, MasterFacts>();
    for (const [server, [reply]] of replies) {
      const found = readMaster(String(reply));
      if (found === null) {
        link.refreshServers();
        return null;
      }
      facts.set(server, found);
    }
    this.#dead.seen([...facts.values()].flatMap(({ replicas }) => replicas));
    this.#facts = facts;
    this.#factsOf = servers;
    this.#askedMs = askedMs;
    return facts;
  }
}

/** Since when replicas have been dead. */
export class DeadReplicas {
  readonly #since = new Map<string, number>();

  seen(replicas: MasterFacts["replicas"], nowMs: number = performance.now()): void {
    for (const { id, isDead } of replicas) {
      if (!isDead) this.#since.delete(id);
      else if (!this.#since.has(id)) this.#since.set(id, nowMs);
    }
  }

  /** How many may take over yet. */
  alive(replicas: MasterFacts["replicas"], nowMs: number = performance.now()): number {
    return replicas.filter(({ id }) => nowMs - (this.#since.get(id) ?? nowMs) < DEAD_MS).length;
  }
}

/** From a master's own answer to `CLUSTER NODES`; null where it is no master, or has no slots. */
export function readMaster(nodes: string): MasterFacts | null {
  const lines = nodes.split("\n").flatMap((line) => {
    const [id, , flags, master, , , , , ...slots] = line.trim().split(" ");
    return id === undefined || flags === undefined ? [] : [{ id, flags: flags.split(","), master, slots }];
  });
  const own = lines.find(({ flags }) => flags.includes("myself"));
  // Slots on their way have brackets.
  const range = own?.slots.find((text) => /^\d/.test(text));
  if (own === undefined || range === undefined || !own.flags.includes("master")) return null;
  const replicas = lines.filter(({ flags, master }) => flags.includes("slave") && master === own.id);
  return {
    firstSlot: Number.parseInt(range, 10),
    replicas: replicas.map(({ id, flags }) => ({ id, isDead: flags.includes("fail") })),
  };
}
