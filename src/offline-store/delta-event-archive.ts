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
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { Column } from "../schema/value.ts";
import { sqlName, type QueryEngine } from "./engine.ts";
import { eventRelation } from "./event-reader.ts";
import type { ArchivedEvent, EventArchive, EventFiles } from "./event-archive.ts";
import type { NewFile, OfflineStore, OfflineTable, TableFile, TableSnapshot } from "./offline-store.ts";
import { writeParquetFile } from "./parquet-file.ts";
import { batchOfRows } from "./row-batch.ts";
import { rewriteFiles } from "./table-rewrite.ts";

/** Live files below this size are joined once there are so many of them in a row. */
const COMPACT_ROWS_BELOW = 250_000;
const COMPACT_FILES = 24;
/** Joined files stay for readers that still have them in their lists. */
const COMPACTED_KEPT_MS = 24 * 3_600_000;

const LIVE_TXN = "partition-0";
const HISTORY_TXN = "history";
const EPOCH_TXN = "epoch";

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

/** Opens the table `events/<source>`, creating it or adding columns the source gained. */
export async function openEventArchive(
  store: OfflineStore,
  engine: QueryEngine,
  source: SourceDefinition,
): Promise<HistoryArchive> {
  const stored = source.columns.map(({ name, type, description }): Column => ({
    name,
    type,
    nullable: true,
    ...(description === undefined ? {} : { description }),
  }));
  const columns = [...stored, ...META_COLUMNS];
  const table = await store.table(`events/${source.name}`, { columns });
  return new DeltaEventArchive(table, engine, columns, stored.length);
}

class DeltaEventArchive implements HistoryArchive {
  readonly columns: readonly Column[];
  readonly #table: OfflineTable;
  readonly #engine: QueryEngine;
  readonly #storedCount: number;

  constructor(table: OfflineTable, engine: QueryEngine, columns: readonly Column[], storedCount: number) {
    this.#table = table;
    this.#engine = engine;
    this.columns = columns;
    this.#storedCount = storedCount;
  }

  async files(epoch?: number): Promise<ArchiveFiles> {
    return filesOf(await this.#table.snapshot(), epoch, this.#table.folder);
  }

  async appendLive(events: readonly ArchivedEvent[]): Promise<void> {
    const { liveEnd } = await this.files();
    const fresh = events.filter(({ offset }) => offset >= liveEnd);
    if (fresh.length === 0) return;
    const first = fresh[0]!;
    const last = fresh.at(-1)!;
    assert(
      first.offset === liveEnd && last.offset === liveEnd + fresh.length - 1,
      "archived offsets follow on without gaps",
    );
    const rows = fresh.map(({ row, eventTime, knownTime, offset, id }) => [
      ...row.slice(0, this.#storedCount),
      eventTime,
      knownTime,
      offset,
      id,
    ]);
    const batch = batchOfRows(
      this.columns.map(({ type }) => type),
      rows,
    );
    const loaded = `live_${randomUUID()}`;
    try {
      await this.#engine.fill(loaded, this.columns, [batch]);
      const file = await this.#write(this.#engine, `live-${String(first.offset).padStart(16, "0")}`, {
        select: `SELECT * FROM ${sqlName(loaded)}`,
        tags: {
          segment: "live",
          firstOffset: String(first.offset),
          firstKnownTime: String(first.knownTime),
          lastKnownTime: String(last.knownTime),
        },
      });
      await this.#table.commit({
        add: [file],
        txn: [{ applicationId: LIVE_TXN, version: last.offset }],
        operation: "ARCHIVE LIVE",
      });
    } finally {
      await this.#engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
    }
    // The events are archived whatever becomes of this: the next append tries again.
    await this.#compactLive().catch(() => {});
  }

  async #compactLive(): Promise<void> {
    const { replaced } = await rewriteFiles(this.#table, this.#engine, {
      operation: "COMPACT LIVE",
      dataChange: false,
      plan: async (snapshot) => {
        const { live } = filesOf(snapshot, undefined, this.#table.folder);
        const run = live.slice(live.findLastIndex(({ rows }) => rows >= COMPACT_ROWS_BELOW) + 1);
        if (run.length < COMPACT_FILES) return [];
        const { firstOffset, firstKnownTime } = run[0]!.tags as Record<string, string>;
        const { lastKnownTime } = run.at(-1)!.tags as Record<string, string>;
        const stored = this.columns.slice(0, this.#storedCount);
        return [
          {
            files: run,
            select: `SELECT * FROM ${eventRelation(run, stored)} ORDER BY _offset`,
            prefix: `live-${firstOffset!.padStart(16, "0")}`,
            tags: {
              segment: "live",
              firstOffset: firstOffset!,
              firstKnownTime: firstKnownTime!,
              lastKnownTime: lastKnownTime!,
            },
          },
        ];
      },
    });
    if (replaced.length > 0) await this.#table.vacuum(COMPACTED_KEPT_MS, ({ tags }) => tags["segment"] === "live");
  }

  async appendHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    const file = await this.#writeHistory(rows, files.epoch);
    await this.#table.commit({
      add: [file],
      txn: [{ applicationId: HISTORY_TXN, version: files.historyCommits + 1 }],
      operation: "IMPORT HISTORY",
    });
    return this.files();
  }

  async replaceHistory(files: ArchiveFiles, rows: HistoryWrite): Promise<ArchiveFiles> {
    const epoch = files.epoch + 1;
    const file = await this.#writeHistory(rows, epoch);
    await this.#table.commit({
      add: [file],
      remove: files.history.map(({ path }) => path.slice(this.#table.folder.length + 1)),
      txn: [
        { applicationId: HISTORY_TXN, version: files.historyCommits + 1 },
        { applicationId: EPOCH_TXN, version: epoch },
      ],
      operation: "OPEN EPOCH",
    });
    return this.files();
  }

  async #writeHistory(rows: HistoryWrite, epoch: number): Promise<NewFile> {
    const file = await this.#write(rows.engine, `history-${epoch}`, {
      select: rows.select,
      tags: {
        segment: "history",
        epoch: String(epoch),
        firstKnownTime: String(rows.firstKnownTime),
        lastKnownTime: String(rows.lastKnownTime),
      },
    });
    try {
      await rows.beforeCommit?.();
    } catch (error) {
      await rm(join(this.#table.folder, file.path), { force: true });
      throw error;
    }
    // A remove action keeps tags but no statistics: the row count must outlive the file's removal.
    return { ...file, tags: { ...file.tags, rows: String(file.rows) } };
  }

  #write(
    engine: QueryEngine,
    prefix: string,
    what: { readonly select: string; readonly tags: Readonly<Record<string, string>> },
  ): Promise<NewFile> {
    return writeParquetFile(engine, {
      ...what,
      folder: this.#table.folder,
      name: `${prefix}-${randomUUID()}.parquet`,
      columns: this.columns,
    });
  }
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
  const history = (epoch === present ? snapshot.files : snapshot.removed)
    .filter((file) => isOf("history")(file) && Number(file.tags["epoch"]) === epoch)
    .map((file) => ({ ...file, rows: Number(file.tags["rows"] ?? file.rows) }));
  const live = snapshot.files.filter(isOf("live"));
  const byKnownTime = (a: TableFile, b: TableFile): number =>
    Number(a.tags["firstKnownTime"]) - Number(b.tags["firstKnownTime"]) || (a.path < b.path ? -1 : 1);
  const byOffset = (a: TableFile, b: TableFile): number =>
    Number(a.tags["firstOffset"]) - Number(b.tags["firstOffset"]);
  const lastKnown = (files: readonly TableFile[]): number =>
    files.reduce((max, file) => Math.max(max, Number(file.tags["lastKnownTime"])), Number.NEGATIVE_INFINITY);
  return {
    epoch,
    history: history.toSorted(byKnownTime),
    live: live.toSorted(byOffset),
    liveEnd: (snapshot.txns.get(LIVE_TXN) ?? -1) + 1,
    historyEnd: HISTORY_BASE + history.reduce((sum, file) => sum + file.rows, 0),
    historyCommits: snapshot.txns.get(HISTORY_TXN) ?? 0,
    lastHistoryKnownTime: lastKnown(history),
    lastKnownTime: Math.max(lastKnown(history), lastKnown(live)),
  };
}
