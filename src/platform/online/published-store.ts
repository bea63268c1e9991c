/** The local online store of an owner that publishes: as it is, and each commit is told to the publisher once it is durable. */
import type {
  KeyedState,
  MetaWrite,
  NamedMeta,
  RefusedWrite,
  SharedOnlineStore,
  StateRead,
  StateSpace,
  StateWrite,
  StoreReading,
  WorkPace,
} from "../../online-store/online-store.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { dropNote } from "./drop-notes.ts";
import type { Publisher } from "./publisher.ts";

export class PublishedStore implements SharedOnlineStore {
  readonly #local: SharedOnlineStore;
  readonly #publisher: Publisher;

  constructor(local: SharedOnlineStore, publisher: Publisher) {
    this.#local = local;
    this.#publisher = publisher;
  }

  get(space: StateSpace, key: EntityKey): Uint8Array | null {
    return this.#local.get(space, key);
  }

  lend(space: StateSpace, key: EntityKey): Uint8Array | null {
    return this.#local.lend(space, key);
  }

  getMeta(name: string): Uint8Array | null {
    return this.#local.getMeta(name);
  }

  scanMeta(prefix: string, after?: string): IterableIterator<NamedMeta> {
    return this.#local.scanMeta(prefix, after);
  }

  scan(space: StateSpace, after?: EntityKey): IterableIterator<KeyedState> {
    return this.#local.scan(space, after);
  }

  count(space: StateSpace): number {
    return this.#local.count(space);
  }

  read(states: readonly StateRead[], metas?: readonly string[]): Promise<StoreReading> {
    return this.#local.read(states, metas);
  }

  scanMetas(prefix: string, after?: string): AsyncIterableIterator<NamedMeta> {
    return this.#local.scanMetas(prefix, after);
  }

  scanStates(space: StateSpace, after?: EntityKey): AsyncIterableIterator<KeyedState> {
    return this.#local.scanStates(space, after);
  }

  countStates(space: StateSpace): Promise<number> {
    return this.#local.countStates(space);
  }

  async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    const refused = await this.#local.commit(states, metas);
    this.#publisher.committed(states, metas);
    return refused;
  }

  async commitAlone(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> {
    await this.#local.commitAlone(states, metas);
    this.#publisher.committed(states, metas);
  }

  removeStates(states: readonly StateRead[], metas: readonly MetaWrite[]): Promise<void> {
    return this.#local.removeStates(states, metas);
  }

  /** It is noted first, and until the copy is gone, too: whoever comes after this process goes on with it. */
  async dropSpace(space: StateSpace, pace?: WorkPace, signal?: AbortSignal): Promise<void> {
    await this.#local.commitAlone([], [dropNote(space)]);
    await this.#local.dropSpace(space, pace, signal);
    this.#publisher.dropped(space);
  }

  refresh(): void {
    this.#local.refresh();
  }

  releaseDeadReaders(): void {
    this.#local.releaseDeadReaders();
  }

  close(): Promise<void> {
    return this.#local.close();
  }
}
