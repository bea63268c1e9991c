/**
 * Previews on local files of events, with no data folder: before anything is registered or taken in.
 *
 * The files go the way of `onefold ingest`: the same door, the same known times, the same order, into an archive
 * in a temporary folder. So a preview shows what a view would hold after the import, and what the import would
 * refuse. What was read is kept until the files, the source or the views' keys change.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import type { ErrorCode } from "../base/errors.ts";
import { importHistory } from "../ingest/history-import.ts";
import { openEventArchive } from "../offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../offline-store/delta-table.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventArchive } from "../offline-store/event-archive.ts";
import { preview, type Preview } from "../training/preview.ts";
import { type PreviewedView, previewedView, type PreviewOptions } from "./previewed-view.ts";

export interface LocalEventsOptions {
  /** Parquet, CSV or NDJSON; paths or globs. */
  readonly files: readonly string[];
  /** File column that says when a row became known; else its event time plus the source's `availableAfter`. */
  readonly knownTimeColumn?: string;
  /** File column of a source column, where the names differ. */
  readonly columnMap?: Readonly<Record<string, string>>;
  /** Columns of the files that are passed over though they are called nearly as one that is not there. */
  readonly passOver?: readonly string[];
  readonly clock?: Clock;
}

/** What an import of the files would say. */
export interface LocalEventsReport {
  readonly rows: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Why rows were refused, most frequent first, each with its first row. */
  readonly reasons: readonly { readonly code: ErrorCode; readonly rows: number; readonly first: string }[];
  readonly ignoredColumns: readonly string[];
  readonly absentColumns: readonly string[];
}

interface ReadFiles {
  readonly made: string;
  readonly folder: string;
  readonly archive: EventArchive;
  readonly report: LocalEventsReport;
}

export class LocalEvents {
  readonly #options: LocalEventsOptions;
  readonly #openEngine: () => Promise<QueryEngine>;
  #read: ReadFiles | null = null;

  /** The caller closes it. */
  constructor(options: LocalEventsOptions, openEngine: () => Promise<QueryEngine>) {
    this.#options = options;
    this.#openEngine = openEngine;
  }

  /**
   * Values of a view on a sample of the files' entities. Throws `VIEW_UNKNOWN`, `DEFINITION_INVALID`,
   * `FILE_UNREADABLE`, `FILE_COLUMN_MISSING`.
   */
  async preview(options: PreviewOptions): Promise<Preview & { readonly files: LocalEventsReport }> {
    const previewed = previewedView(options, null);
    const { archive, report } = await this.#readFor(previewed);
    const result = await preview({
      ports: { archive: async () => archive, openEngine: this.#openEngine },
      ...previewed,
      ...(options.entityCount === undefined ? {} : { entityCount: options.entityCount }),
      ...(options.keeper === undefined ? {} : { keeper: options.keeper }),
    });
    return { ...result, files: report };
  }

  async close(): Promise<void> {
    if (this.#read !== null) await rm(this.#read.folder, { recursive: true, force: true });
    this.#read = null;
  }

  async #readFor(previewed: PreviewedView): Promise<ReadFiles> {
    const made = JSON.stringify([previewed.source, previewed.view.key, await this.#changeTimes()]);
    if (this.#read?.made === made) return this.#read;
    await this.close();
    const folder = await mkdtemp(join(tmpdir(), "onefold-events-"));
    const engine = await this.#openEngine();
    try {
      this.#read = { made, folder, ...(await this.#readInto(folder, engine, previewed)) };
      return this.#read;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    } finally {
      await engine.close();
    }
  }

  async #readInto(
    folder: string,
    engine: QueryEngine,
    { source, view, entity }: PreviewedView,
  ): Promise<Pick<ReadFiles, "archive" | "report">> {
    const { clock = systemClock, ...what } = this.#options;
    const archive = await openEventArchive(openOfflineStore(folder, engine, { clock }), engine, source);
    const reasons = new Map<ErrorCode, { rows: number; readonly first: string }>();
    const { rows, accepted, duplicates, rejected, ignoredColumns, absentColumns } = await importHistory({
      ...what,
      source,
      views: [{ definition: view, entity }],
      archive,
      log: null,
      engine,
      clock,
      deadLetters: {
        async add(letters) {
          for (const { code, message } of letters) {
            const reason = reasons.get(code);
            if (reason === undefined) reasons.set(code, { rows: 1, first: message });
            else reason.rows++;
          }
        },
      },
    });
    const sorted = [...reasons].map(([code, reason]) => ({ code, ...reason })).sort((a, b) => b.rows - a.rows);
    return {
      archive,
      report: { rows, accepted, duplicates, rejected, reasons: sorted, ignoredColumns, absentColumns },
    };
  }

  /** Of the named files; what a glob finds is looked at when it is read. */
  #changeTimes(): Promise<(readonly [number, number] | null)[]> {
    return Promise.all(
      this.#options.files.map(async (file) => {
        const found = await stat(file).catch(() => null);
        return found === null ? null : ([found.mtimeMs, found.size] as const);
      }),
    );
  }
}
