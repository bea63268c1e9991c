/**
 * The event log of one partition: the one order, and the write-ahead log of everything behind it.
 */
import type { Micros } from "../base/micros.ts";
import type { CheckedRow, LogEvent } from "./event.ts";

export interface EventLog {
  /** Offset the next event will get; 0 for an empty log. */
  readonly nextOffset: number;
  /** Known time of the newest event (or as far as `raiseKnownTime` moved it); -Infinity for an empty log. */
  readonly lastKnownTime: number;
  /**
   * Appends in order and resolves once all are synced to disk. Offsets follow on; `knownTime` is
   * max(now, lastKnownTime). The rows of a call stand in one frame: after a crash all of them are there or none.
   * Concurrent calls share one sync; a large one is encoded in turns, and smaller ones may come in front of it. Throws `STORAGE_FAILED`: then nothing of
   * this call counts as accepted, and the log refuses further appends until it is opened anew.
   */
  append(rows: readonly CheckedRow[], now: Micros): Promise<readonly LogEvent[]>;
  /** Events from `from` on, in offset order, up to the durable end when the call is made; batches of at most `batchSize`. */
  read(from: number, batchSize?: number): AsyncIterableIterator<readonly LogEvent[]>;
  close(): Promise<void>;
}
