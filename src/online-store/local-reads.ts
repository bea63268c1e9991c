/**
 * What every local store does in the same way: it answers the asynchronous contract from its synchronous reads, and
 * looks at the stored versions before a conditional commit. Such commits go one after another, so that none looks
 * past another that is under way.
 */
import type { EntityKey } from "../schema/entity-key.ts";
import type {
  KeyedState,
  LocalOnlineStore,
  MetaWrite,
  NamedMeta,
  RefusedWrite,
  StateRead,
  StateSpace,
  StateVersion,
  StateWrite,
  StoredState,
  StoreReading,
  WorkPace,
} from "./online-store.ts";
import { isNewer } from "./stored-state.ts";

export abstract class LocalReads implements LocalOnlineStore {
  #committing: Promise<unknown> = Promise.resolve();

  abstract get(space: StateSpace, key: EntityKey): Uint8Array | null;
  abstract getMeta(name: string): Uint8Array | null;
  abstract scanMeta(prefix: string, after?: string): IterableIterator<NamedMeta>;
  abstract scan(space: StateSpace, after?: EntityKey): IterableIterator<KeyedState>;
  abstract count(space: StateSpace): number;
  abstract commitAlone(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void>;
  abstract removeStates(states: readonly StateRead[], metas: readonly MetaWrite[]): Promise<void>;
  abstract dropSpace(space: StateSpace, pace?: WorkPace, signal?: AbortSignal): Promise<void>;
  abstract close(): Promise<void>;

  protected abstract getStored(space: StateSpace, key: EntityKey): StoredState | null;
  protected abstract storedVersion(space: StateSpace, key: EntityKey): StateVersion | null;

  lend(space: StateSpace, key: EntityKey): Uint8Array | null {
    return this.get(space, key);
  }

  async read(states: readonly StateRead[], metas: readonly string[] = []): Promise<StoreReading> {
    return {
      states: states.map(({ space, key }) => {
        const stored = this.getStored(space, key);
        return stored === null || stored.bytes.length === 0 ? null : stored;
      }),
      metas: metas.map((name) => this.getMeta(name)),
    };
  }

  async *scanStates(space: StateSpace, after?: EntityKey): AsyncIterableIterator<KeyedState> {
    for (const state of this.scan(space, after)) if (state.bytes.length > 0) yield state;
  }

  async *scanMetas(prefix: string, after?: string): AsyncIterableIterator<NamedMeta> {
    yield* this.scanMeta(prefix, after);
  }

  async countStates(space: StateSpace): Promise<number> {
    return this.count(space);
  }

  commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    const committed = this.#committing.then(async () => {
      const { newer, refused } = this.#judge(states);
      await this.commitAlone(newer, metas);
      return refused;
    });
    this.#committing = committed.catch(() => undefined);
    return committed;
  }

  #judge(states: readonly StateWrite[]): { readonly newer: StateWrite[]; readonly refused: RefusedWrite[] } {
    const newer: StateWrite[] = [];
    const refused: RefusedWrite[] = [];
    const present = new Map<string, StateVersion>();
    for (const [index, state] of states.entries()) {
      const { space, key, epoch, offset } = state;
      const name = `${space}\0${key}`;
      const stored = present.get(name) ?? this.storedVersion(space, key);
      if (stored !== null && !isNewer(state, stored)) {
        refused.push({ index, stored: { epoch: stored.epoch, offset: stored.offset } });
        continue;
      }
      present.set(name, { epoch, offset });
      newer.push(state);
    }
    return { newer, refused };
  }
}
