/**
 * The latest state by (view, entity), as bytes the store never looks into.
 *
 * Contract, held by one conformance suite on every implementation:
 * - a `commit` is atomic: after a crash either all of it is there or none;
 * - `get` sees every commit whose promise resolved, and never part of one;
 * - returned bytes belong to the caller;
 * - a space (one view@version in one epoch) is dropped whole, without touching another.
 */
import type { EntityKey } from "../schema/entity-key.ts";

/** Names the states of one view@version in one epoch, e.g. `origin_delays@1#3`. At most 200 bytes. */
export type StateSpace = string;

export interface StateWrite {
  readonly space: StateSpace;
  readonly key: EntityKey;
  /** null removes. */
  readonly bytes: Uint8Array | null;
}

/** Small named values that must change together with states: positions, id horizons, outboxes. */
export interface MetaWrite {
  readonly name: string;
  readonly bytes: Uint8Array | null;
}

export interface OnlineStore {
  get(space: StateSpace, key: EntityKey): Uint8Array | null;
  getMeta(name: string): Uint8Array | null;
  /** Names and values of all metas whose name starts with `prefix`, in name order (bytewise), beginning after `after`. */
  scanMeta(prefix: string, after?: string): IterableIterator<{ readonly name: string; readonly bytes: Uint8Array }>;
  /** All entities of a space in key order (bytewise), beginning after `after`. */
  scan(space: StateSpace, after?: EntityKey): IterableIterator<{ readonly key: EntityKey; readonly bytes: Uint8Array }>;
  /** Writes all in one transaction; resolves once it is durable. */
  commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void>;
  dropSpace(space: StateSpace): Promise<void>;
  /** Number of entities in a space; may take time in proportion to it. */
  count(space: StateSpace): number;
  close(): Promise<void>;
}

/** A store that one process writes and others read. */
export interface SharedOnlineStore extends OnlineStore {
  /**
   * Of a reader: from now on reads see all that the writer has committed. Those of one turn, up to the next call,
   * see one moment.
   */
  refresh(): void;
  /** Of the writer, once a reader's process has ended: frees what it may have been holding, so that the file does not grow for it. */
  releaseDeadReaders(): void;
}
