/**
 * The online store in plain maps: for tests and throw-away runs. Nothing outlives the process.
 */
import type { EntityKey } from "../schema/entity-key.ts";
import type { MetaWrite, OnlineStore, StateSpace, StateWrite } from "./online-store.ts";

export class MemoryOnlineStore implements OnlineStore {
  #spaces = new Map<StateSpace, Map<EntityKey, Uint8Array>>();
  #metas = new Map<string, Uint8Array>();
  #crashed = false;

  get(space: StateSpace, key: EntityKey): Uint8Array | null {
    return copyOrNull(this.#spaces.get(space)?.get(key));
  }

  getMeta(name: string): Uint8Array | null {
    return copyOrNull(this.#metas.get(name));
  }

  *scanMeta(prefix: string, after?: string): IterableIterator<{ name: string; bytes: Uint8Array }> {
    const names = [...this.#metas.keys()].filter((name) => name.startsWith(prefix)).sort(compareBytewise);
    for (const name of names) {
      if (after !== undefined && compareBytewise(name, after) <= 0) continue;
      const bytes = this.#metas.get(name);
      if (bytes !== undefined) yield { name, bytes: bytes.slice() };
    }
  }

  *scan(space: StateSpace, after?: EntityKey): IterableIterator<{ key: EntityKey; bytes: Uint8Array }> {
    const states = this.#spaces.get(space) ?? new Map<EntityKey, Uint8Array>();
    for (const key of [...states.keys()].sort(compareBytewise)) {
      if (after !== undefined && compareBytewise(key, after) <= 0) continue;
      const bytes = states.get(key);
      if (bytes !== undefined) yield { key, bytes: bytes.slice() };
    }
  }

  async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> {
    await turn();
    if (this.#crashed) throw new Error("the store has crashed");
    for (const { space, key, bytes } of states) {
      let entities = this.#spaces.get(space);
      if (entities === undefined) this.#spaces.set(space, (entities = new Map()));
      if (bytes === null) entities.delete(key);
      else entities.set(key, bytes.slice());
    }
    for (const { name, bytes } of metas) {
      if (bytes === null) this.#metas.delete(name);
      else this.#metas.set(name, bytes.slice());
    }
    await turn();
    if (this.#crashed) throw new Error("the store has crashed");
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

function copyOrNull(bytes: Uint8Array | undefined): Uint8Array | null {
  return bytes === undefined ? null : bytes.slice();
}

/** Order of the UTF-8 bytes, which is not that of JavaScript's strings past U+FFFF. */
function compareBytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
