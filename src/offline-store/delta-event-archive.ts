/**
 * The event archive on the offline store: one Delta table a source.
 *
 * Three application ids keep its place, each committed together with the files it speaks of:
 * - `partition-0`: the last live offset archived, so that a batch handed over twice is added once;
 * - `history`: how many history commits there were, so that two imports cannot both add to one state;
 * - `epoch`: the number of the present epoch, moved by a commit that replaces all history files.
 *
 * Live events arrive in small files, which are joined as they add up: the rows and their tags stay the same.
 *
 * A history file belongs to one epoch for ever. Replaced ones stay on disk, known by the log's remove
 * actions (which carry their tags), and are what an earlier epoch consists of.
 */
import { randomUUID } from "node:crypto";
import { assert } from "../base/assert.ts";
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { Column } from "../schema/value.ts";
import { sqlName, type QueryEngine } from "./engine.ts";
import { retractionsOf, retractionTag } from "./retractions.ts";
import type { EventArchive, EventFiles, LiveColumns, LiveEvents } from "./event-archive.ts";
import { refuseForeignFiles } from "./foreign-files.ts";
import type { NewFile, OfflineStore, OfflineTable, TableFile, TableFileStats, TableSnapshot } from "./offline-store.ts";
import { type ParquetFilesRequest, timeBounds, writeParquetFiles } from "./parquet-file.ts";
import { compactTable, FILES_WORTH_JOINING } from "./table-compaction.ts";
import { EPOCH_TXN, LIVE_TXN, olderFilesError } from "./older-files.ts";
import { byPlace, kindOfTable } from "./table-kinds.ts";
import { widenTable } from "./widened-table.ts";

/** Joined files stay for readers that still have them in their lists. */
const COMPACTED_KEPT_MS = 24 * 3_600_000;

const HISTORY_TXN = "history";

/** Columns of the archive behind the source's own. */
const META_COLUMNS: readonly Column[] = [
  { name: "_event_time", type: { name: "timestamp" }, nullable: true },
  { name: "_known_time", type: { name: "timestamp" }, nullable: true },
  { name: "_offset", type: { name: "int64" }, nullable: true },
  { name: "_id", type: { name: "string" }, nullable: true },
];

export interface HistoryWrite {
  /** The engine whose tables `select` names: not necessarily the archive's own. */
  readonly engine: QueryEngine;
  /** A SELECT of the archive's columns, in offset order, with offsets that follow on as the segment demands. */
  readonly select: string;
  /** Known times of its first and last row, microseconds. */
  readonly firstKnownTime: number;
  readonly lastKnownTime: number;
  /** Called once all is written and nothing committed; where it throws, the table stays as it was. */
  readonly beforeCommit?: () => Promise<void>;
}

/** What an import decides by, besides the files themselves. */
export interface ArchiveFiles extends EventFiles {
  /** Commits of history so far, in all epochs. */
  readonly historyCommits: number;
  /** Largest known time of the epoch's history, microseconds; -Infinity without history. */
  readonly lastHistoryKnownTime: number;
}

export interface HistoryArchive extends EventArchive {
  files(epoch?: number): Promise<ArchiveFiles>;
  /** Stored columns and the archive's own. */
  readonly columns: readonly Column[];
  /** Adds rows behind the present epoch's history, whose end must be `files.historyEnd`. Throws `TABLE_CONFLICT`. */
  appendHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles>;
  /** Replaces all history and opens the next epoch, in one commit. Throws `TABLE_CONFLICT`. */
  replaceHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles>;
}

/**
 * As `openEventArchive`, for the process that owns the source: what its files lack of wider types is written anew. Throws
 * `TABLE_INVALID`, also where another engine has written a file.
 */
export async function openOwnEventArchive(
  store: OfflineStore,
  engine: QueryEngine,
  source: SourceDefinition,
): Promise<HistoryArchive> {
  const archive = await openArchive(store, engine, source);
  await archive.files();
  await widenTable(archive.table, engine, archive.columns);
  return archive;
}

/** Opens the table `events/<source>`, creating it or adding columns the source gained. */
export function openEventArchive(
  store: OfflineStore,
  engine: QueryEngine,
  source: SourceDefinition,
): Promise<HistoryArchive> {
  return openArchive(store, engine, source);
}

/** Of the archive of a source: its own, as they are stored, and the archive's. */
export function archiveColumns(source: SourceDefinition): readonly Column[] {
  const stored = source.columns.map(({ name, type, description }): Column => ({
    name,
    type,
    nullable: true,
    ...(description === undefined ? {} : { description }),
  }));
  return [...stored, ...META_COLUMNS];
}

async function openArchive(
  store: OfflineStore,
  engine: QueryEngine,
  source: SourceDefinition,
): Promise<DeltaEventArchive> {
  const columns = archiveColumns(source);
  const table = await store.table(`events/${source.name}`, {
    columns,
    partitionBy: { column: "_month", of: "_known_time" },
  });
  return new DeltaEventArchive(table, engine, columns, source.columns.length);
}

class DeltaEventArchive implements HistoryArchive {
  readonly columns: readonly Column[];
  readonly table: OfflineTable;
  readonly #engine: QueryEngine;
  readonly #storedCount: number;

  constructor(table: OfflineTable, engine: QueryEngine, columns: readonly Column[], storedCount: number) {
    this.table = table;
    this.#engine = engine;
    this.columns = columns;
    this.#storedCount = storedCount;
  }

  async files(epoch?: number): Promise<ArchiveFiles> {
    return filesOf(await this.table.snapshot(), epoch, this.table.folder);
  }

  async appendLive(events: LiveEvents): Promise<void> {
    const { liveEnd } = await this.files();
    if (events.end <= liveEnd) return;
    const loading = new LiveLoad(events, liveEnd, this.#storedCount);
    const loaded = `live_${randomUUID()}`;
    try {
      await this.#engine.fill(loaded, this.columns, loading.batches(), { inTurns: true });
      const { firstKnownTime, lastKnownTime } = loading;
      const files = await this.#write(this.#engine, {
        prefix: `live-${String(liveEnd).padStart(16, "0")}`,
        select: `SELECT * FROM ${sqlName(loaded)}`,
        tagsOf: (file) => {
          const bounds = timeBounds(file, "_known_time") ?? { first: firstKnownTime, last: lastKnownTime };
          return {
            segment: "live",
            firstOffset: String(offsetBound(file, "minValues") ?? liveEnd),
            endOffset: String((offsetBound(file, "maxValues") ?? events.end - 1) + 1),
            firstKnownTime: String(bounds.first),
            lastKnownTime: String(bounds.last),
            ...retractionTag(retractionsOf(file)),
          };
        },
      });
      await this.table.commit({
        add: files,
        txn: [{ applicationId: LIVE_TXN, version: events.end - 1 }],
        operation: "ARCHIVE LIVE",
      });
    } finally {
      await this.#engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
    }
    // The events are archived whatever becomes of this: the next append tries again.
    await this.#compact().catch(() => {});
  }

  async #compact(): Promise<void> {
    const { schema } = await this.table.snapshot();
    const { replaced } = await compactTable(this.table, this.#engine, kindOfTable(schema)!, FILES_WORTH_JOINING);
    if (replaced.length > 0) await this.table.vacuum(COMPACTED_KEPT_MS, ({ tags }) => tags["segment"] === "live");
  }

  async appendHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    const add = await this.#writeHistory(rows, files.epoch, files.historyEnd);
    await this.table.commit({
      add,
      txn: [{ applicationId: HISTORY_TXN, version: files.historyCommits + 1 }],
      operation: "IMPORT HISTORY",
    });
    return this.files();
  }

  async replaceHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    const epoch = files.epoch + 1;
    const add = await this.#writeHistory(rows, epoch, HISTORY_BASE);
    await this.table.commit({
      add,
      remove: files.history.map(({ path }) => path.slice(this.table.folder.length + 1)),
      txn: [
        { applicationId: HISTORY_TXN, version: files.historyCommits + 1 },
        { applicationId: EPOCH_TXN, version: epoch },
      ],
      operation: "OPEN EPOCH",
    });
    return this.files();
  }

  async #writeHistory(rows: HistoryWrite, epoch: number, firstOffset: number): Promise<NewFile[]> {
    const files = await this.#write(rows.engine, {
      prefix: `history-${epoch}`,
      select: rows.select,
      tagsOf: (file) => {
        const bounds = timeBounds(file, "_known_time") ?? { first: rows.firstKnownTime, last: rows.lastKnownTime };
        return {
          segment: "history",
          epoch: String(epoch),
          firstOffset: String(offsetBound(file, "minValues") ?? firstOffset),
          firstKnownTime: String(bounds.first),
          lastKnownTime: String(bounds.last),
          // A remove action keeps tags but no statistics: the row count must outlive the file's removal.
          rows: String(file.rows),
        };
      },
    });
    try {
      await rows.beforeCommit?.();
    } catch (error) {
      await this.table.discard(files);
      throw error;
    }
    return files;
  }

  async #write(
    engine: QueryEngine,
    what: Pick<ParquetFilesRequest, "select" | "prefix" | "tagsOf">,
  ): Promise<NewFile[]> {
    const { schema } = await this.table.snapshot();
    return writeParquetFiles(engine, {
      ...what,
      prefix: `${what.prefix}-${randomUUID()}`,
      folder: this.table.folder,
      columns: this.columns,
      partitionBy: schema.partitionBy,
    });
  }
}

/** Live events on their way into the engine: whether they are all there, and when they became known. */
class LiveLoad {
  readonly #events: LiveEvents;
  readonly #from: number;
  readonly #storedCount: number;
  firstKnownTime: number = Number.NaN;
  lastKnownTime: number = Number.NaN;

  constructor(events: LiveEvents, from: number, storedCount: number) {
    this.#events = events;
    this.#from = from;
    this.#storedCount = storedCount;
  }

  async *batches(): AsyncIterableIterator<LiveColumns> {
    let next = this.#from;
    for await (const batch of this.#events.read(next)) {
      const [knownTimes, offsets] = batch.columns.slice(this.#storedCount + 1) as [Float64Array, Float64Array];
      for (let i = 0; i < batch.rowCount; i++) {
        assert(offsets[i] === next++, "archived offsets follow on without gaps");
      }
      if (Number.isNaN(this.firstKnownTime)) this.firstKnownTime = knownTimes[0]!;
      this.lastKnownTime = knownTimes[batch.rowCount - 1]!;
      yield batch;
    }
    assert(next === this.#events.end, "all events that were to be archived are there");
  }
}

function offsetBound({ stats }: Pick<NewFile, "stats">, which: "minValues" | "maxValues"): number | null {
  const offset = (JSON.parse(stats ?? "{}") as TableFileStats)[which]?.["_offset"];
  return typeof offset === "number" ? offset : null;
}

function filesOf(snapshot: TableSnapshot, wanted: number | undefined, folder: string): ArchiveFiles {
  const present = snapshot.txns.get(EPOCH_TXN) ?? 0;
  const epoch = wanted ?? present;
  if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > present) {
    throw new OnefoldError("EPOCH_UNKNOWN", `there is no epoch ${epoch}; the present one is ${present}`, {
      where: folder,
    });
  }
  const isOf = (segment: string) => (file: TableFile) => file.tags["segment"] === segment;
  refuseForeignFiles(snapshot.files, folder);
  const older = olderFilesError(snapshot, folder);
  if (older !== null) throw older;
  const history = (epoch === present ? snapshot.files : snapshot.removed)
    .filter((file) => isOf("history")(file) && Number(file.tags["epoch"]) === epoch)
    .map((file) => ({ ...file, rows: Number(file.tags["rows"] ?? file.rows) }));
  const live = snapshot.files.filter(isOf("live"));
  const lastKnown = (files: readonly TableFile[]): number =>
    files.reduce((max, file) => Math.max(max, Number(file.tags["lastKnownTime"])), Number.NEGATIVE_INFINITY);
  return {
    epoch,
    history: history.toSorted(byPlace),
    live: live.toSorted(byPlace),
    liveEnd: (snapshot.txns.get(LIVE_TXN) ?? -1) + 1,
    historyEnd: HISTORY_BASE + history.reduce((sum, file) => sum + file.rows, 0),
    historyCommits: snapshot.txns.get(HISTORY_TXN) ?? 0,
    lastHistoryKnownTime: lastKnown(history),
    lastKnownTime: Math.max(lastKnown(history), lastKnown(live)),
  };
}
