/**
 * What is open of a running source: its pipeline, its archive, what brings the archive up to the log, and what brings its
 * views up to both. Opened and closed together, and anew where the source gained columns or the disk was full.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { ViewState } from "../fold/view-fold.ts";
import { Archiver, archiveLog } from "../ingest/archiver.ts";
import type { RefoldedRun } from "../ingest/correction-run.ts";
import { readBatchState } from "../ingest/batch/batch-state.ts";
import { diskStorage } from "../ingest/disk-storage.ts";
import type { LogEvent } from "../ingest/event.ts";
import type { FileEventLog } from "../ingest/file-event-log.ts";
import { refoldRun } from "../ingest/refold.ts";
import { openSourcePipeline } from "../ingest/open-source-pipeline.ts";
import type { SourcePipeline } from "../ingest/source-pipeline.ts";
import type { PipelineView } from "../ingest/view-runner.ts";
import { archiveColumns, openOwnEventArchive } from "../offline-store/delta-event-archive.ts";
import { openFeatureRowTable } from "../offline-store/feature-row-table.ts";
import { isTableRefused, RestorableArchive } from "../offline-store/refused-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { rememberHistoryIds } from "./history-ids.ts";
import { historyTakenUp, rememberTakenUp } from "./known-history.ts";
import type { OnProgress, RuntimeContext } from "./runtime-context.ts";
import type { CatalogView } from "./view-catalog.ts";
import { pipelineView, ViewBuilder } from "./view-builder.ts";

export class SourceParts {
  /** As it is opened with the next time. */
  source: SourceDefinition;
  readonly builder: ViewBuilder;
  /** Aborted for good once the source closes: what is being built then goes on from there the next time. */
  readonly closing: AbortController = new AbortController();
  readonly #context: RuntimeContext;
  readonly #online: LocalOnlineStore;
  #archive!: RestorableArchive;
  #pipeline: SourcePipeline | null = null;
  #archiver!: Archiver;
  #historyEndsAt: number = Number.NEGATIVE_INFINITY;
  #notTakenUp: OnefoldError | null = null;

  constructor(context: RuntimeContext, online: LocalOnlineStore, source: SourceDefinition) {
    this.#context = context;
    this.#online = online;
    this.source = source;
    this.builder = new ViewBuilder(context, online);
  }

  get archive(): RestorableArchive {
    return this.#archive;
  }

  get pipeline(): SourcePipeline {
    return this.#pipeline!;
  }

  /** False until it is open the first time. */
  get hasPipeline(): boolean {
    return this.#pipeline !== null;
  }

  get archiver(): Archiver {
    return this.#archiver;
  }

  /** Known time of the last event of history; -Infinity where there is none. */
  get historyEndsAt(): number {
    return this.#historyEndsAt;
  }

  /**
   * Opens it with the views that stand; the others are brought up by `bringUp`. Throws `TABLE_INVALID` where the archive's table is
   * refused and there may be history in it that pushes must know of.
   */
  async open(onProgress?: OnProgress): Promise<void> {
    const { clock, dataDir, engine, offline, publishes, stateMemory } = this.#context;
    const views = this.views();
    const { source } = this;
    this.#archive = new RestorableArchive(archiveColumns(source), () => openOwnEventArchive(offline, engine, source));
    const historyEndsAt = await this.#historyWithoutTable();
    this.#pipeline = await openSourcePipeline({
      source: this.source,
      views: views.filter((view) => this.builder.isStored(view)).map(pipelineView),
      storage: diskStorage,
      folder: dataDir,
      store: this.#online,
      clock,
      hotBytesMax: () => stateMemory.bytesPerView,
      hotHeapBytesMax: () => stateMemory.heapBytesPerView,
      // Servers on the other store have the states and nothing else.
      wholeStates: publishes,
      refold: (view, run, log) => this.#refold(view, run, log),
      ...(onProgress === undefined
        ? {}
        : {
            onReplay: (done: number, total: number) => onProgress({ phase: `log of ${this.source.name}`, done, total }),
          }),
    });
    await this.#raiseToMark();
    // Plans hold runners of the pipeline before, which fold no more.
    this.#context.revision.count += 1;
    this.#archiver = new Archiver({
      pipeline: this.#pipeline,
      store: this.#online,
      archive: this.#archive,
      rowTable: ({ view }) => openFeatureRowTable(offline, engine, view.definition, view.entity),
    });
    if (historyEndsAt === null) return this.takeUpHistory();
    this.#notTakenUp = null;
    this.pipeline.log.raiseKnownTime(historyEndsAt);
    this.#historyEndsAt = historyEndsAt;
  }

  /** What a run has read up to then stays complete, also where the clock was set back since. */
  async #raiseToMark(): Promise<void> {
    if (this.source.kind !== "batch") return;
    // Where it cannot be read nobody trains by it, and no run succeeds.
    const state = await readBatchState(this.#context.dataDir, this.source.name).catch(() => null);
    const upTo = state?.complete?.upTo;
    if (upTo !== undefined) this.pipeline.log.raiseKnownTime(upTo + 1);
  }

  /** What is known of history beside a table that is refused; null where it is not. Throws `TABLE_INVALID` where nothing is known. */
  async #historyWithoutTable(): Promise<number | null> {
    try {
      await this.#archive.files();
      return null;
    } catch (error) {
      const endsAt = isTableRefused(error) ? historyTakenUp(this.#online, this.source.name) : null;
      if (endsAt === null) throw error;
      return endsAt;
    }
  }

  async close(): Promise<void> {
    await this.#archiver.close();
    await this.pipeline.close();
  }

  /** All that was pushed is stored, and of all minutes that are over the rows are in the tables. */
  async settle(): Promise<void> {
    await this.pipeline.drain();
    this.pipeline.tick();
    await this.pipeline.drain();
    await this.archiver.run();
  }

  /** Brings the archive up to the end of the log; a table of feature rows that is refused has nothing to do with that. */
  async archiveEvents(): Promise<void> {
    await this.archiver.run().catch((error: unknown) => {
      if (!isTableRefused(error) || this.#archive.refusal !== null) throw error;
    });
  }

  /** What a table that its events or feature rows go to is refused with until it is restored, or null. */
  get refusedTable(): OnefoldError | null {
    const { failure } = this.#archiver;
    return isTableRefused(failure) ? failure : this.#archive.refusal;
  }

  /** Why nothing can be archived now, or null: also where one table alone is what cannot be used. */
  get archiveTrouble(): OnefoldError | null {
    const { failure } = this.#archiver;
    return isTableRefused(failure) ? null : failure;
  }

  /** Why there may be history that pushes must know of and do not, so that none may be taken in; or null. */
  get notTakenUp(): OnefoldError | null {
    return this.#notTakenUp;
  }

  /** What a push must know of history: its last known time, and its ids. */
  async takeUpHistory(): Promise<void> {
    try {
      await this.#takeUpHistory();
      this.#notTakenUp = null;
    } catch (error) {
      if (historyTakenUp(this.#online, this.source.name) === null) this.#notTakenUp = asOnefoldError(error);
      throw error;
    }
  }

  async #takeUpHistory(): Promise<void> {
    // A live event stands behind all history, so it cannot be known before it.
    const files = await this.#archive.files();
    this.pipeline.log.raiseKnownTime(files.lastHistoryKnownTime);
    this.#historyEndsAt = files.lastHistoryKnownTime;
    await rememberHistoryIds(this.#context, this.#online, this.source, files);
    await rememberTakenUp(this.#online, this.source.name, files.lastHistoryKnownTime);
  }

  /** Folds into each view the history it lacks, and starts those that do not run. */
  async bringUp(views: readonly CatalogView[], onProgress?: OnProgress): Promise<void> {
    const { signal } = this.closing;
    for (const view of views) await this.builder.bringUp(view, this.pipeline, this.#archive, { onProgress, signal });
  }

  /** By view, of its last event; -Infinity where it has none. */
  lastEventTimes(key: EntityKey): ReadonlyMap<string, number> {
    const { runners } = this.pipeline;
    return new Map(
      runners.map((runner) => [runner.name, runner.state(key)?.lastEventTime ?? Number.NEGATIVE_INFINITY]),
    );
  }

  /** Those of the views that do not run, `view name@version`. */
  missing(views: readonly CatalogView[]): string[] {
    return views.filter(({ name }) => this.pipeline.runner(name) === undefined).map(({ name }) => `view ${name}`);
  }

  /** The views this process can compute; serving answers for the others with the reason. */
  views(): CatalogView[] {
    return this.#context.catalog.computableOn(this.source.name);
  }

  async #refold(view: PipelineView, run: readonly LogEvent[], log: FileEventLog): Promise<RefoldedRun<ViewState>> {
    const engine = await this.#context.openEngine();
    try {
      // All before a run was archived when it was appended; a table that was put back from a copy may lack some of it.
      await archiveLog(this.#archive, log, run[0]!.offset);
      return await refoldRun({ source: this.source, view, engine, files: await this.#archive.files(), run });
    } finally {
      await engine.close();
    }
  }
}
