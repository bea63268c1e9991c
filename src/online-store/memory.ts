/**
 * The online store in plain maps: for tests and throw-away runs. Nothing outlives the process.
 */
import type { EntityKey } from "../schema/entity-key.ts";
import { LocalReads } from "./local-reads.ts";
import type {
  KeyedState,
  MetaWrite,
  NamedMeta,
  StateRead,
  StateSpace,
  StateVersion,
  StateWrite,
  StoredState,
} from "./online-store.ts";

export class MemoryOnlineStore extends LocalReads {
  #spaces = new Map<StateSpace, Map<EntityKey, StoredState>>();
  #metas = new Map<string, Uint8Array>();
  #crashed = false;

  get(space: StateSpace, key: EntityKey): Uint8Array | null {
    return this.getStored(space, key)?.bytes ?? null;
  }

  protected override getStored(space: StateSpace, key: EntityKey): StoredState | null {
    const stored = this.#spaces.get(space)?.get(key);
    return stored === undefined ? null : copyOf(stored);
  }

  getMeta(name: string): Uint8Array | null {
    return copyOrNull(this.#metas.get(name));
  }

  *scanMeta(prefix: string, after?: string): IterableIterator<NamedMeta> {
    const names = [...this.#metas.keys()].filter((name) => name.startsWith(prefix)).sort(compareBytewise);
    for (const name of names) {
      if (after !== undefined && compareBytewise(name, after) <= 0) continue;
      const bytes = this.#metas.get(name);
      if (bytes !== undefined) yield { name, bytes: bytes.slice() };
    }
  }

  *scan(space: StateSpace, after?: EntityKey): IterableIterator<KeyedState> {
    const states = this.#spaces.get(space) ?? new Map<EntityKey, StoredState>();
    for (const key of [...states.keys()].sort(compareBytewise)) {
      if (after !== undefined && compareBytewise(key, after) <= 0) continue;
      const stored = states.get(key);
      if (stored !== undefined) yield { key, ...copyOf(stored) };
    }
  }

  protected override storedVersion(space: StateSpace, key: EntityKey): StateVersion | null {
    return this.#spaces.get(space)?.get(key) ?? null;
  }

  async commitAlone(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> {
    await turn();
    if (this.#crashed) throw new Error("the store has crashed");
    for (const { space, key, ...state } of states) {
      let entities = this.#spaces.get(space);
      if (entities === undefined) this.#spaces.set(space, (entities = new Map()));
      entities.set(key, copyOf(state));
    }
    for (const { name, bytes } of metas) {
      if (bytes === null) this.#metas.delete(name);
      else this.#metas.set(name, new Uint8Array(bytes));
    }
    await turn();
    if (this.#crashed) throw new Error("the store has crashed");
  }

  async removeStates(states: readonly StateRead[], metas: readonly MetaWrite[]): Promise<void> {
    await this.commitAlone([], metas);
    for (const { space, key } of states) this.#spaces.get(space)?.delete(key);
  }

  async dropSpace(space: StateSpace): Promise<void> {
    await turn();
    this.#spaces.delete(space);
  }

  count(space: StateSpace): number {
    return this.#spaces.get(space)?.size ?? 0;
  }

  async close(): Promise<void> {
    await turn();
  }

  /** The store as the next process would find a durable one; this one fails from then on. */
  crash(): MemoryOnlineStore {
    this.#crashed = true;
    const next = new MemoryOnlineStore();
    for (const [space, entities] of this.#spaces) next.#spaces.set(space, new Map(entities));
    next.#metas = new Map(this.#metas);
    return next;
  }
}

/** Not by `slice`: a `Buffer` has one that does not copy. */
function copyOf({ epoch, offset, bytes }: StoredState): StoredState {
  return { epoch, offset, bytes: new Uint8Array(bytes) };
}

function copyOrNull(bytes: Uint8Array | undefined): Uint8Array | null {
  return bytes === undefined ? null : new Uint8Array(bytes);
}

/** Order of the UTF-8 bytes, which is not that of JavaScript's strings past U+FFFF. */
function compareBytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
