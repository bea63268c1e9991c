/**
 * Moves what is settled to the offline store: events from the log to the archive, feature rows from the
 * outbox to their tables.
 *
 * Each pass goes on from what the offline tables say they hold, not from what this process remembers, and
 * the tables commit rows together with that mark. So a crash before an offline commit repeats the work, one
 * after it finds the mark moved, and neither loses nor doubles a row. An outbox batch is removed only once
 * the table's mark has passed its sequence. A table that is refused keeps no other from its rows; what waits for it stays in the
 * log and in the outbox.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { EventArchive } from "../offline-store/event-archive.ts";
import type { FeatureRow, FeatureRowTable } from "../offline-store/feature-rows.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import type { FileEventLog } from "./file-event-log.ts";
import { nextOutboxBatch, type OutboxBatch, outboxRows } from "./feature-rows.ts";
import type { SourcePipeline } from "./source-pipeline.ts";
import { readStoredView } from "./stored-view.ts";
import { nextTurn } from "./turns.ts";
import type { ViewRunner } from "./view-runner.ts";

const INTERVAL_MS = 5000;
const EVENTS_PER_COMMIT = 50_000;
/** Of the outbox: some ten thousand feature rows. */
const BYTES_PER_COMMIT = 4 * 1024 * 1024;
/** Batches of the outbox looked up before other work gets its turn. */
const BATCHES_PER_TURN = 16;

export interface ArchiverOptions {
  readonly pipeline: SourcePipeline;
  readonly store: LocalOnlineStore;
  readonly archive: EventArchive;
  /** The table of a view with `offline: true`. Called once a pass for each. */
  rowTable(runner: ViewRunner): Promise<FeatureRowTable>;
  /** Between two passes; null for passes by `run` alone. */
  readonly intervalMs?: number | null;
  /** Called with the error of a pass that failed by itself; the next pass tries again. */
  onError?(error: OnefoldError): void;
}

export interface ArchivePass {
  readonly events: number;
  readonly rows: number;
}

/** Moves what the archive lacks of the log's events before `upTo`, and tells where it ends; how many there were. */
export async function archiveLog(
  archive: EventArchive,
  log: Pick<FileEventLog, "columns">,
  upTo: number,
  onArchived?: (end: number) => void,
): Promise<number> {
  const { liveEnd } = await archive.files();
  onArchived?.(liveEnd);
  for (let next = liveEnd; next < upTo;) {
    const end = Math.min(next + EVENTS_PER_COMMIT, upTo);
    await archive.appendLive({ end, read: (from) => log.columns(from, end) });
    onArchived?.(end);
    next = end;
  }
  return Math.max(0, upTo - liveEnd);
}

export class Archiver {
  readonly #options: ArchiverOptions;
  #running: Promise<ArchivePass> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #failure: OnefoldError | null = null;
  #archivedEnd: number | null = null;

  constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Error of the last pass, or null where it succeeded. */
  get failure(): OnefoldError | null {
    return this.#failure;
  }

  /** Offset behind the last event known to be archived; null before the first pass. */
  get archivedEnd(): number | null {
    return this.#archivedEnd;
  }

  /**
   * Archives all that is durable in the log and in the outbox when the call is made. Rejects as the tables do; with `TABLE_INVALID`
   * once all others have theirs.
   */
  async run(): Promise<ArchivePass> {
    // A pass under way may have passed by what was added since it began.
    while (this.#running !== null) await this.#running.catch(() => undefined);
    this.#running = this.#pass().finally(() => {
      this.#running = null;
    });
    try {
      const pass = await this.#running;
      this.#failure = null;
      return pass;
    } catch (error) {
      this.#failure = asOnefoldError(error);
      throw error;
    }
  }

  /** Stops the passes by interval and waits for one under way; does not begin another. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running?.catch(() => undefined);
  }

  #schedule(): void {
    const { intervalMs = INTERVAL_MS, onError } = this.#options;
    if (intervalMs === null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.run()
        .catch((error: unknown) => onError?.(asOnefoldError(error)))
        .finally(() => this.#schedule());
    }, intervalMs);
    this.#timer.unref();
  }

  async #pass(): Promise<ArchivePass> {
    let refusal: OnefoldError | null = null;
    const unlessRefused = async (moving: Promise<number>): Promise<number> => {
      try {
        return await moving;
      } catch (error) {
        if (!isTableRefused(error)) throw error;
        refusal ??= error;
        return 0;
      }
    };
    const events = await unlessRefused(this.#archiveEvents());
    let rows = 0;
    for (const runner of this.#options.pipeline.runners) {
      if (runner.view.definition.offline) rows += await unlessRefused(this.#moveRows(runner));
    }
    if (refusal !== null) throw refusal;
    return { events, rows };
  }

  async #archiveEvents(): Promise<number> {
    const { archive, pipeline } = this.#options;
    // Pushes go on adding events: this pass moves those that are there now.
    return archiveLog(archive, pipeline.log, pipeline.log.durableEnd, (end) => {
      this.#archivedEnd = end;
    });
  }

  async #moveRows(runner: ViewRunner): Promise<number> {
    const { store, rowTable } = this.#options;
    const keyTypes = runner.view.entity.keys.map((key) => key.type);
    // Flushes go on adding batches: this pass moves those that are there now.
    const endSequence = readStoredView(store, runner.name)?.nextSequence ?? 0;
    let table: FeatureRowTable | null = null;
    let committed = -1;
    let moved = 0;
    for (;;) {
      const batches = await this.#outboxBatches(runner, endSequence);
      if (batches.length === 0) return moved;
      if (table === null) {
        table = await rowTable(runner);
        committed = await table.lastSequence();
      }
      const fresh = batches.filter(({ sequence }) => sequence > committed);
      function* rows(): IterableIterator<readonly FeatureRow[]> {
        for (const batch of fresh) {
          for (const some of outboxRows(batch, runner.view.fold, keyTypes)) {
            moved += some.length;
            yield some;
          }
        }
      }
      if (fresh.length > 0) await table.append(rows(), batches.at(-1)!.sequence);
      await store.commitAlone(
        [],
        batches.map(({ metaName }) => ({ name: metaName, bytes: null })),
      );
    }
  }

  /** The first of those with smaller sequences, as many as go into one commit. */
  async #outboxBatches(runner: ViewRunner, endSequence: number): Promise<OutboxBatch[]> {
    const batches: OutboxBatch[] = [];
    for (let bytes = 0; bytes < BYTES_PER_COMMIT;) {
      const batch = nextOutboxBatch(this.#options.store, runner.name, batches.at(-1)?.metaName);
      if (batch === null || batch.sequence >= endSequence) break;
      batches.push(batch);
      bytes += batch.bytes.length;
      if (batches.length % BATCHES_PER_TURN === 0) await nextTurn();
    }
    return batches;
  }
}
