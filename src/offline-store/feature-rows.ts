/**
 * The feature rows of one view as an open table: `features/<view>@<version>` (the dual write).
 *
 * One row per entity and closed known-time minute in which the entity changed, read at the minute's last
 * microsecond. For people and other engines; never an input to training.
 *
 * Columns of the table: the entity's key columns (typed), `_minute` (timestamp, the minute's start),
 * `_epoch` (int64), then the view's features in the view's order. All nullable in the table.
 */
import type { Micros } from "../base/micros.ts";
import type { Value } from "../schema/value.ts";

export interface FeatureRow {
  /** Typed parts of the entity's key, in the entity's key order. */
  readonly key: readonly Value[];
  /** Start of the closed minute: a whole multiple of 60 s. */
  readonly minute: Micros;
  /** Epoch of the states the row was read from. */
  readonly epoch: number;
  /** One value a feature, in the view's order, as serving would have returned it: null, or the default, for nothing known. */
  readonly values: readonly Value[];
}

/** Appends are exactly-once: each carries a sequence number that is committed with its rows (a Delta `txn`). */
export interface FeatureRowTable {
  /** Sequence of the last committed append; -1 for an empty table. Survives restarts. */
  lastSequence(): Promise<number>;
  /**
   * Adds rows, which come some at a time, in one atomic commit; does nothing, and asks for none of them, when
   * `sequence <= lastSequence()`. Sequences may skip numbers.
   */
  append(rows: Iterable<readonly FeatureRow[]>, sequence: number): Promise<void>;
}

export interface PastFeatureRows {
  /**
   * Adds, in one atomic commit, those of the rows whose entity, minute and epoch the table does not have, and returns how
   * many. No other rows of their minutes may be on their way. Throws `TABLE_CONFLICT` where it is done twice at once.
   */
  addMissing(rows: AsyncIterable<readonly FeatureRow[]>): Promise<number>;
}
