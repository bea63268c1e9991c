/**
 * The latest state by (view, entity), as bytes the store never looks into.
 *
 * `OnlineStore` is what every store is, on this machine or past it; `LocalOnlineStore` is one that also answers at
 * once, in the turn that asks. One conformance suite (`src/testing/online-store-conformance.ts`) holds both
 * contracts on every implementation.
 *
 * What holds of each state:
 * - It carries its version, (epoch, offset): the epoch it was folded in and the offset of the last event in it. A
 *   write lands only where nothing is stored or what is stored is older; look and write are one step that nothing
 *   comes between. So whoever writes late, twice or after having been replaced takes nothing back.
 * - A write that does not land is told to its caller with the version that is stored. Where that is its own, the
 *   same write came before: a repetition after a time-out, or a second worker that has folded the same events.
 * - Once a commit has resolved, every read sees what landed, or something newer.
 * - Returned bytes belong to the caller; given bytes may be changed once the commit has resolved.
 *
 * What holds of a commit as a whole:
 * - A local store commits all or nothing: after a crash, and to any reader, all of it is there or none.
 * - On Redis a commit is atomic for each entity: the states of one key, whatever their spaces, land at one moment.
 *   Over several keys it is not: others may see some of them first, and of a commit that was rejected
 *   (`STORE_TIMEOUT`, `STORE_UNAVAILABLE`) any may have landed, then or a little later. Metas are written once every
 *   state of the commit is answered for, and not at all where one is not, or where the connection to the server was
 *   lost in between. So a position that is read back never claims more than the states hold, but states may be ahead
 *   of it: whoever goes on from a position must skip, for each entity, events at or below the offset of its state, as
 *   the fold does. To repeat a commit is always safe.
 * - How durable a resolved commit is: LMDB has synced it; Redis has what its own persistence and replication give
 *   (docs/redis.md), so a failover may take the last moments back; on a cluster of states and metas each by itself,
 *   but for what `isReplicated` has been true of.
 */
import type { EntityKey } from "../schema/entity-key.ts";

/** Names the states of one view@version in one epoch, e.g. `origin_delays@1#3`. At most 200 bytes. */
export type StateSpace = string;

/** What tells the older of two states of an entity from the newer: the epoch first, then the offset. */
export interface StateVersion {
  /** 0 to 2^32 - 1. */
  readonly epoch: number;
  /** Of the last event folded. A safe integer; history has negative ones. */
  readonly offset: number;
}

export interface StateRead {
  readonly space: StateSpace;
  readonly key: EntityKey;
}

export interface StoredState extends StateVersion {
  readonly bytes: Uint8Array;
}

export interface StateWrite extends StateVersion {
  readonly space: StateSpace;
  readonly key: EntityKey;
  /** None: whoever reads it finds nothing, and what is older does not take its place as long as it is kept. */
  readonly bytes: Uint8Array;
  /**
   * Once so long has passed without a newer one, whoever reads the state finds in it what is found where there is none,
   * and a store may remove it: for copies that are served from, not for states that are folded into. Absent: never.
   * Local stores keep everything.
   */
  readonly keptMs?: number;
}

/** A write that did not land, by its index in the commit, and the version that is stored. */
export interface RefusedWrite {
  readonly index: number;
  readonly stored: StateVersion;
}

/** Small named values beside the states: positions, id horizons, outboxes. The last write wins, whoever it is of. */
export interface MetaWrite {
  readonly name: string;
  /** null removes. */
  readonly bytes: Uint8Array | null;
}

/** What is written together. */
export interface CommitPart {
  readonly states: readonly StateWrite[];
  readonly metas: readonly MetaWrite[];
}

export interface NamedMeta {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface KeyedState extends StoredState {
  readonly key: EntityKey;
}

/** What was read, in the order in which it was asked for; null where nothing is stored. */
export interface StoreReading {
  readonly states: readonly (StoredState | null)[];
  readonly metas: readonly (Uint8Array | null)[];
}

/** A small value to stand with the states of some groups. */
export interface GroupMark {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly groups: readonly number[];
}

/**
 * Of a store of several servers, each of which may come back without the last of its writes: values that go with states.
 * A server that has a mark has all states of its group that were acknowledged before the mark was written.
 */
export interface StateMarks {
  /** From 0. States of one key are in one group. */
  groupOf(key: EntityKey): number;
  /**
   * Resolves once all are acknowledged, over the connections that there are when it is called: where one is lost it throws
   * `STORE_UNAVAILABLE`, and any may be written that were sent before.
   */
  write(marks: readonly GroupMark[]): Promise<void>;
  /** In no order, those that are not there as null. A group that two servers share has several. Throws as `read` does. */
  read(
    name: string,
    groups: readonly number[],
  ): Promise<readonly { readonly group: number; readonly bytes: Uint8Array | null }[]>;
}

/** Of long work in the thread that answers: it waits between its pieces, in proportion to what they take. */
export interface WorkPace {
  /** A piece begins: what was waited for before is no work. */
  resume(): void;
  /** Resolves when the next one may begin. */
  rest(): Promise<void>;
}

/** Throws `STORE_UNAVAILABLE`, `STORE_TIMEOUT` where the store is another process, `STORAGE_FAILED` where it is a disk. */
export interface OnlineStore {
  /**
   * Of a store that is another process: times that a connection to it broke, or that another server was seen in the
   * place of one. It may have less after each.
   */
  readonly connectionsLost?: number;
  /** Of a store of several servers that may lose what they have each by itself: which they are now; else null. */
  readonly servers?: string | null;
  /**
   * Whether all that was acknowledged to anyone before the call stays where one of several servers is replaced by a copy
   * of it. Absent where none is, and where all there is goes back to one earlier moment then. Throws as `read` does.
   */
  isReplicated?(): Promise<boolean>;
  /** Absent where all there is goes back to one earlier moment. */
  readonly marks?: StateMarks | undefined;
  /**
   * States and metas in one round trip, for each node of a cluster in parallel. Those of one key are of one moment,
   * on a local store all are.
   */
  read(states: readonly StateRead[], metas?: readonly string[]): Promise<StoreReading>;
  /**
   * All entities of a space in key order (bytewise), beginning after `after`. Each state is one that was stored while
   * the scan went on; on Redis it takes time in proportion to all that is stored: for audits, not for requests.
   */
  scanStates(space: StateSpace, after?: EntityKey): AsyncIterableIterator<KeyedState>;
  /** All metas whose name starts with `prefix`, in name order (bytewise), beginning after `after`. */
  scanMetas(prefix: string, after?: string): AsyncIterableIterator<NamedMeta>;
  /** Resolves with the writes that did not land, in the order of their index; see above for what is guaranteed. */
  commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]>;
  /**
   * Removes a space that nobody writes any more, whole, without touching another. A store whose removals are this thread's
   * work keeps to the pace, if one is given, and heeds the signal: it throws `CANCELLED`, and another call removes the rest.
   */
  dropSpace(space: StateSpace, pace?: WorkPace, signal?: AbortSignal): Promise<void>;
  /** Number of entities in a space; may take time in proportion to all that is stored. */
  countStates(space: StateSpace): Promise<number>;
  close(): Promise<void>;
}

/** Counts that move when states change, as the store tells of it. */
export interface RemoteChanges {
  /** Another number with each change that was told, whatever it is of. */
  readonly told: number;
  /** Where changes of the entity's states are counted, from now on. */
  cellOf(key: EntityKey): number;
  /** As long as it is the same, `readHere` would find the same; NaN while that is not known. */
  of(cell: number): number;
}

/** A store past this machine, whose states are asked for at every request, and are most often those of the last time. */
export interface RemoteOnlineStore extends OnlineStore {
  /**
   * As `read`, but states with their versions as the store itself holds them: where those are the same, bit for bit, so is
   * the state. They lie in larger blocks: who keeps one keeps a copy.
   */
  readStored(states: readonly StateRead[]): Promise<readonly (Uint8Array | null)[]>;
  /**
   * What `readStored` would give, or something that was stored a moment before, without asking the store; null where that is not
   * known of all. What `read` has given by now of metas is not newer than this.
   */
  readHere?(states: readonly StateRead[]): readonly (Uint8Array | null)[] | null;
  /** Tells when what was read of an entity may be out of date; absent where the store does not say. */
  readonly changes?: RemoteChanges | undefined;
  /** Another number whenever reads go another way than before, and so perhaps to another server: what was read before says nothing of it. */
  readonly way: number;
  /** The state's bytes in what `readStored` gave, good until the next call. */
  stateIn(stored: Uint8Array): Uint8Array;
}

/** A store of this process's own machine, read without waiting: what is folded into and served from. */
export interface LocalOnlineStore extends OnlineStore {
  get(space: StateSpace, key: EntityKey): Uint8Array | null;
  /** As `get`, but what is returned is the store's own: to be read at once, before anything else is asked of any store. */
  lend(space: StateSpace, key: EntityKey): Uint8Array | null;
  getMeta(name: string): Uint8Array | null;
  /** As `scanMetas`. */
  scanMeta(prefix: string, after?: string): IterableIterator<NamedMeta>;
  /** As `scanStates`. */
  scan(space: StateSpace, after?: EntityKey): IterableIterator<KeyedState>;
  /** As `countStates`. */
  count(space: StateSpace): number;
  /**
   * As `commit`, but without a look at what is stored: for the one writer of the spaces, which has read a state before
   * it folded into it and so cannot be older. Resolves once it is durable.
   */
  commitAlone(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void>;
  /**
   * Removes the states of an entity, and writes metas, in one commit: for the one writer of the spaces. A copy elsewhere
   * is not told. Resolves once it is durable.
   */
  removeStates(states: readonly StateRead[], metas: readonly MetaWrite[]): Promise<void>;
}

/** A store that one process writes and others read. */
export interface SharedOnlineStore extends LocalOnlineStore {
  /**
   * Of a reader: from now on reads see all that the writer has committed. Those of one turn, up to the next call,
   * see one moment.
   */
  refresh(): void;
  /** Of the writer, once a reader's process has ended: frees what it may have been holding, so that the file does not grow for it. */
  releaseDeadReaders(): void;
}
