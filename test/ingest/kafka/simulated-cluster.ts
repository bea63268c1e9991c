/**
 * A cluster of stores in memory, each with a replica that follows behind and may take its place: then what it did not
 * have yet is gone, on that one alone. Or it is started again itself, without the last of its writes.
 */
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type {
  KeyedState,
  MetaWrite,
  NamedMeta,
  OnlineStore,
  RefusedWrite,
  StateMarks,
  StateRead,
  StateWrite,
  StoredState,
  StoreReading,
} from "../../../src/online-store/online-store.ts";

interface Node {
  store: MemoryOnlineStore;
  readonly commits: { readonly states: readonly StateWrite[]; readonly metas: readonly MetaWrite[] }[];
  /** Of the commits, how many the replica has. */
  replicated: number;
  failovers: number;
  restarts: number;
}

const NODES = 3;

export class SimulatedCluster implements OnlineStore {
  readonly #random: () => number;
  readonly #nodes: Node[] = Array.from({ length: NODES }, () => {
    return { store: new MemoryOnlineStore(), commits: [], replicated: 0, failovers: 0, restarts: 0 };
  });
  /** Commits that failovers have taken back. */
  lost = 0;
  /** Commits that were lost by servers that were started again. */
  lostInPlace = 0;
  /** By node and name. */
  readonly marks: StateMarks = {
    groupOf: (key) => this.#nodes.indexOf(this.#of(key)),
    write: async (marks) => {
      for (const { name, bytes, groups } of marks) {
        for (const group of groups) await this.#commitTo(this.#nodes[group]!, [], [{ name: `mark ${name}`, bytes }]);
      }
    },
    read: async (name, groups) => {
      const found = groups.map((group) => ({ group, bytes: this.#nodes[group]!.store.getMeta(`mark ${name}`) }));
      return found;
    },
  };

  constructor(random: () => number) {
    this.#random = random;
  }

  get connectionsLost(): number {
    return this.#nodes.reduce((sum, { failovers, restarts }) => sum + failovers + restarts, 0);
  }

  get servers(): string {
    return this.#nodes.map(({ failovers }) => failovers).join(" ");
  }

  async isReplicated(): Promise<boolean> {
    if (this.#random() < 0.7) for (const node of this.#nodes) node.replicated = node.commits.length;
    return this.#nodes.every(({ commits, replicated }) => replicated === commits.length);
  }

  /** Some replicas come some way. */
  replicate(): void {
    const node = this.#any();
    node.replicated += Math.floor(this.#random() * (node.commits.length - node.replicated + 1));
  }

  async failOver(node: Node = this.#any()): Promise<void> {
    this.lost += node.commits.splice(node.replicated).length;
    node.failovers++;
    await this.#replay(node);
  }

  /** Before its replica has noticed: that is given what there is. */
  async restart(): Promise<void> {
    const node = this.#any();
    const kept = node.commits.length - Math.floor(this.#random() * Math.min(20, node.commits.length + 1));
    this.lostInPlace += node.commits.splice(kept).length;
    node.replicated = Math.min(node.replicated, kept);
    node.restarts++;
    await this.#replay(node);
  }

  async failOverAll(): Promise<void> {
    for (const node of this.#nodes) await this.failOver(node);
  }

  async read(reads: readonly StateRead[], metas: readonly string[] = []): Promise<StoreReading> {
    const states: (StoredState | null)[] = [];
    for (const read of reads) states.push((await this.#of(read.key).store.read([read])).states[0] ?? null);
    return { states, metas: (await this.#nodes[0]!.store.read([], metas)).metas };
  }

  async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    const refused: RefusedWrite[] = [];
    for (const [index, state] of states.entries()) {
      for (const { stored } of await this.#commitTo(this.#of(state.key), [state], [])) refused.push({ index, stored });
    }
    if (metas.length > 0) await this.#commitTo(this.#nodes[0]!, [], metas);
    return refused;
  }

  async *scanStates(space: string): AsyncIterableIterator<KeyedState> {
    for (const { store } of this.#nodes) yield* store.scanStates(space);
  }

  scanMetas(prefix: string): AsyncIterableIterator<NamedMeta> {
    return this.#nodes[0]!.store.scanMetas(prefix);
  }

  async dropSpace(): Promise<void> {
    throw new Error("is not simulated");
  }

  async countStates(space: string): Promise<number> {
    let count = 0;
    for (const { store } of this.#nodes) count += await store.countStates(space);
    return count;
  }

  async close(): Promise<void> {}

  #commitTo(node: Node, states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    node.commits.push({ states, metas });
    return node.store.commit(states, metas);
  }

  async #replay(node: Node): Promise<void> {
    node.store = new MemoryOnlineStore();
    for (const { states, metas } of node.commits) await node.store.commit(states, metas);
  }

  #any(): Node {
    return this.#nodes[Math.floor(this.#random() * NODES)]!;
  }

  #of(key: string): Node {
    let hash = 7;
    for (const byte of Buffer.from(key)) hash = (hash * 31 + byte) % 1_000_003;
    return this.#nodes[hash % NODES]!;
  }
}
