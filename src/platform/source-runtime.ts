/**
 * One running source: its pipeline, its archive, and the views folded from both.
 *
 * What changes views or history runs one piece after another; pushes go on beside it, but for three moments in
 * which they wait: while history is put in front of a log that is still empty (its first event would decide
 * what history may hold), in the last moments of any other import (an event that is in both must get in once),
 * and while the pipeline is opened anew: because the source gained columns, or because the disk was full.
 *
 * A pipeline that met a full disk takes nothing more, for its memory may be ahead of what is stored; what was
 * acknowledged is in the log. Once there is room, it is opened anew from there, as after a restart. Reads go on all
 * the while, from the states in memory.
 */
import { refuseBlocked } from "../ingest/blocked-push.ts";
import { hasRoom } from "../base/disk-room.ts";
import { asOnefoldError, OnefoldError } from "../base/errors.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { ViewState } from "../fold/view-fold.ts";
import { Archiver } from "../ingest/archiver.ts";
import type { DeadLetters } from "../ingest/dead-letters.ts";
import type { RefoldedRun } from "../ingest/correction-run.ts";
import { type Correction, type CorrectionResult, refuseUncorrectable } from "../ingest/corrections.ts";
import { minuteOf } from "../ingest/feature-rows.ts";
import { diskStorage } from "../ingest/disk-storage.ts";
import type { LogEvent } from "../ingest/event.ts";
import { importHistory } from "../ingest/history-import.ts";
import type { PushResult, RowFaults, RowNames } from "../ingest/pipeline.ts";
import type { ReplayResult } from "../ingest/dead-letter-replay.ts";
import { openSourcePipeline, type SourcePipeline } from "../ingest/source-pipeline.ts";
import { refoldRun } from "../ingest/refold.ts";
import type { PipelineView, ViewRunner } from "../ingest/view-runner.ts";
import type { RuntimeFreshness } from "./monitoring/runtime-freshness.ts";
import type { SourceGauges } from "../monitor/metrics/monitored-house.ts";
import { type HistoryArchive, openOwnEventArchive } from "../offline-store/delta-event-archive.ts";
import { openFeatureRowTable } from "../offline-store/feature-row-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import { toData } from "../registry/definition-data.ts";
import { correctNow } from "./correct-now.ts";
import type { ForgetOfSource } from "./forget/forget-entity.ts";
import { forgetInSource, type ForgottenOfSource } from "./forget/forget-source.ts";
import { rememberHistoryIds } from "./history-ids.ts";
import { checkNotImported, rememberImported } from "./imported-files.ts";
import type { ImportOptions, ImportReport, OnProgress, RuntimeContext } from "./runtime-context.ts";
import { PushGate } from "./push-gate.ts";
import type { CatalogView } from "./view-catalog.ts";
import { historyPlace, pipelineView, ViewBuilder } from "./view-builder.ts";

const TICK_MS = 1000;

export class SourceRuntime {
  readonly name: string;
  readonly #context: RuntimeContext;
  readonly #online: LocalOnlineStore;
  readonly #builder: ViewBuilder;
  readonly #ticking: NodeJS.Timeout;
  #source: SourceDefinition;
  #archive!: HistoryArchive;
  #pipeline!: SourcePipeline;
  #archiver!: Archiver;
  readonly #closing = new AbortController();
  /** Of what changes views or history. */
  readonly #turns = new TurnQueue();
  readonly #gate = new PushGate(() => this.#pipeline.pendingRows > 0);
  /** Why views could not be built in the background, or null. */
  #buildFailure: OnefoldError | null = null;
  #historyEndsAt: number = Number.NEGATIVE_INFINITY;
  /** Views that will be built, `view name@version`. */
  #queued: readonly string[] = [];
  #isMending = false;
  /** Why opening it anew failed last, or null. */
  #unmended: OnefoldError | null = null;

  private constructor(context: RuntimeContext, online: LocalOnlineStore, source: SourceDefinition) {
    this.#context = context;
    this.#online = online;
    this.#source = source;
    this.name = source.name;
    this.#builder = new ViewBuilder(context, online);
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.#ticking.unref();
  }

  /** Opens the source with its registered views. Throws `LOG_CORRUPT`, `STORAGE_FAILED`. */
  static async open(
    context: RuntimeContext,
    online: LocalOnlineStore,
    source: SourceDefinition,
    onProgress?: OnProgress,
  ): Promise<SourceRuntime> {
    const runtime = new SourceRuntime(context, online, source);
    try {
      await runtime.#openParts(onProgress);
      await runtime.#bringUpAll(context.buildsBehind, onProgress);
    } catch (error) {
      clearInterval(runtime.#ticking);
      throw error;
    }
    return runtime;
  }

  get archive(): HistoryArchive {
    return this.#archive;
  }

  get deadLetters(): DeadLetters {
    return this.#pipeline.deadLetters;
  }

  /** What keeps the source from taking events or archiving them, or null. */
  get failure(): OnefoldError | null {
    return this.#stopped ?? this.#archiver.failure ?? this.#buildFailure;
  }

  /** For whoever asks why the source is not ready, or null. */
  get trouble(): string | null {
    if (this.#stopped !== null) return `source ${this.name}, which stopped: ${this.#stopped.message}`;
    if (this.#buildFailure !== null) return `views of source ${this.name}: ${this.#buildFailure.message}`;
    const { failure } = this.#archiver;
    return failure === null ? null : `the archive of source ${this.name}, which is tried again: ${failure.message}`;
  }

  /** What keeps it from taking events. */
  get #stopped(): OnefoldError | null {
    return this.#unmended ?? this.#pipeline.failure;
  }

  /** Views that do not stand at the present yet, `view name@version`. */
  get building(): readonly string[] {
    return [...new Set([...this.#queued, ...this.#builder.building])];
  }

  /** What monitoring asks at each scrape. */
  gauges(): Omit<SourceGauges, "poll" | "batch"> {
    const { log, pendingRows, deadLetters, runners } = this.#pipeline;
    const { archivedEnd } = this.#archiver;
    return {
      source: this.name,
      pendingRows,
      archiveLagEvents: archivedEnd === null ? null : log.durableEnd - archivedEnd,
      openDeadLetters: deadLetters.openCount,
      droppedDeadLetters: deadLetters.droppedCount,
      up: this.failure === null,
      views: runners.map(({ name, position, dirtyCount, cost }) => ({
        view: name,
        lagEvents: Math.max(0, log.durableEnd - position),
        unflushedStates: dirtyCount,
        cost,
      })),
    };
  }

  /** What freshness is judged by: when its last event became known, and the oldest that is not folded; null for none. */
  freshness(): RuntimeFreshness {
    const { runners, times } = this.#pipeline;
    const lastEvent = Math.max(times.lastEvent, this.#historyEndsAt);
    return {
      lastEventAt: Number.isFinite(lastEvent) ? lastEvent : null,
      oldestUnfoldedAt: times.oldestUnfolded,
      runners,
    };
  }

  /** As `SourceRuntimes.flushedViews`; none where the source has stopped. */
  flushedViews(): (readonly [view: string, position: number])[] {
    if (this.failure !== null) return [];
    return this.#pipeline.runners.flatMap(({ name, hasWrites, position }) => (hasWrites ? [] : [[name, position]]));
  }

  runner(view: string): ViewRunner | undefined {
    return this.#pipeline.runner(view);
  }

  closedUpTo(): number {
    return this.#pipeline.closedUpTo();
  }

  async push(rows: readonly unknown[], faults?: RowFaults, nameOf?: RowNames): Promise<PushResult> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    return this.#pipeline.push(rows, faults, nameOf);
  }

  /** Throws `PUSH_BLOCKED` for rows that nothing may be taken in with. */
  async refuseBlocked(rows: readonly unknown[]): Promise<void> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    await refuseBlocked(this.#pipeline.door, this.name, rows);
  }

  async replayDeadLetters(ids: readonly string[] | "all"): Promise<ReplayResult> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    return this.#pipeline.replayDeadLetters(ids);
  }

  /** Brings the archive up to the end of the log. */
  async archiveNow(): Promise<void> {
    await this.#archiver.run();
  }

  /** Resolves once all that was pushed is in the online store and the offline tables. */
  async settle(): Promise<void> {
    await this.#turns.idle();
    await this.#settleNow();
  }

  /** Stops folding drafts that are registered otherwise now, or no more, and `retired`. Their states are the caller's to remove. */
  retireViews(retired: ReadonlySet<string>, views: readonly CatalogView[]): Promise<void> {
    return this.#turns.take(async () => {
      for (const { name, view } of this.#pipeline.runners) {
        if (retired.has(name)) await this.#pipeline.removeView(name);
        if (view.definition.version !== "dev") continue;
        const current = views.find((each) => each.name === name);
        const isSame =
          current !== undefined && historyPlace(this.#online, current)?.fingerprint === current.fingerprint;
        if (!isSame) await this.#pipeline.removeView(name);
      }
    });
  }

  /**
   * Takes over a definition that gained columns, and starts the views registered since. Pushes go on while views
   * are built; they wait only where the source itself changed.
   */
  refresh(source: SourceDefinition, views: readonly CatalogView[], onProgress?: OnProgress): Promise<void> {
    return this.#turns.take(async () => {
      const redefined = JSON.stringify(toData(source)) !== JSON.stringify(toData(this.#source));
      if (!redefined) return this.#bringUp(views, onProgress);
      await this.#gate.during(async () => {
        await this.#closeParts();
        this.#source = source;
        await this.#openParts(onProgress);
      });
      // Behind the gate: a view may take hours, and no push waits for it.
      await this.#bringUp(views, onProgress);
    });
  }

  /** Imports files as history: all of it or nothing. Throws as `importHistory` of `ingest/history-import.ts`. */
  importHistory(files: readonly string[], options: ImportOptions): Promise<ImportReport> {
    return this.#turns.take(async () => {
      try {
        if (this.#pipeline.log.nextOffset === 0) await this.#gate.close();
        return await this.#importNow(files, options);
      } finally {
        this.#gate.open();
      }
    });
  }

  /**
   * Takes events back, or others in their place, by id; resolves once that is durable and folded. Pushes wait meanwhile.
   * Throws `REQUEST_INVALID` where the source takes no corrections, `STORAGE_FAILED`.
   */
  correct(corrections: readonly Correction[]): Promise<CorrectionResult> {
    refuseUncorrectable(this.#source, corrections);
    if (corrections.length === 0) return Promise.resolve({ corrected: 0, rejected: 0, outcomes: [] });
    return this.#turns.take(() =>
      this.#gate.during(async () => {
        // What is corrected is folded anew from the archive: all before the correction must be in it.
        await this.archiveNow();
        const parts = { source: this.#source, archive: this.#archive, pipeline: this.#pipeline };
        return correctNow(parts, () => this.#context.openEngine(), corrections);
      }),
    );
  }

  /** Takes an entity out of the source, which is closed meanwhile; pushes wait. */
  forget(asked: ForgetOfSource): Promise<ForgottenOfSource> {
    return this.#turns.take(async () => {
      const forgotten = await this.#gate.during(async () => {
        // What goes is found in the archive: all must be in it, and all feature rows in their tables.
        await this.#settleNow();
        const lastEventTimes = new Map(
          this.#pipeline.runners.map((runner) => {
            return [runner.name, runner.state(asked.key)?.lastEventTime ?? Number.NEGATIVE_INFINITY] as const;
          }),
        );
        await this.#closeParts();
        try {
          return await forgetInSource({
            lastEventTimes,
            context: this.#context,
            online: this.#online,
            source: this.#source,
            ...asked,
          });
        } finally {
          await this.#openParts();
        }
      });
      await this.#bringUpAll(this.#context.buildsBehind);
      return forgotten;
    });
  }

  async #refold(view: PipelineView, run: readonly LogEvent[]): Promise<RefoldedRun<ViewState>> {
    const engine = await this.#context.openEngine();
    try {
      return await refoldRun({ source: this.#source, view, engine, files: await this.#archive.files(), run });
    } finally {
      await engine.close();
    }
  }

  /**
   * Computes a view anew from its history and the log, beside its states, and has it go on from there at an exact
   * position. Where it is cut short, opening the folder again goes on with it. Throws `VIEW_UNKNOWN`, `CANCELLED`.
   */
  backfill(view: string, onProgress?: OnProgress, signal?: AbortSignal): Promise<void> {
    return this.#turns.take(async () => {
      const found = this.#views().find(({ name }) => name === view);
      if (found === undefined) {
        throw new OnefoldError("VIEW_UNKNOWN", `view ${view} is not folded from source ${this.name}`);
      }
      await this.#builder.bringUp(found, this.#pipeline, this.#archive, {
        again: true,
        onProgress,
        signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
      });
    });
  }

  /**
   * Does `work` once all minutes that end at or before the time it is given have their rows in the tables, and while
   * nothing changes views or history.
   */
  withClosedMinutes<T>(work: (to: number, archive: HistoryArchive) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      await this.#settleNow();
      const to = minuteOf(this.closedUpTo() + 1);
      await this.#settleNow();
      return work(to, this.#archive);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    // What is being built goes on from there the next time.
    this.#closing.abort();
    await this.#turns.idle();
    await this.#closeParts();
  }

  /** All that was pushed is stored, and of all minutes that are over the rows are in the tables. */
  async #settleNow(): Promise<void> {
    await this.#pipeline.drain();
    this.#pipeline.tick();
    await this.#pipeline.drain();
    await this.archiveNow();
  }

  #tick(): void {
    // Opening may take longer than a tick.
    const pipeline: SourcePipeline | undefined = this.#pipeline;
    if (pipeline === undefined) return;
    pipeline.tick();
    if ((this.#stopped ?? this.#buildFailure)?.code === "DISK_FULL" && !this.#isMending) void this.#mend();
  }

  async #mend(): Promise<void> {
    this.#isMending = true;
    try {
      if (!(await hasRoom(this.#context.dataDir)) || this.#closing.signal.aborted) return;
      await this.#turns.take(() => this.#gate.during(() => this.#openAnew()));
    } finally {
      this.#isMending = false;
    }
  }

  /** Fails with nothing: where it cannot be opened, the next second tries again, or its failure says why not. */
  async #openAnew(): Promise<void> {
    try {
      await this.#closeParts();
      this.#buildFailure = null;
      await this.#openParts();
      await this.#bringUpAll(true);
      this.#unmended = null;
    } catch (error) {
      this.#unmended = asOnefoldError(error);
    }
  }

  async #importNow(files: readonly string[], options: ImportOptions): Promise<ImportReport> {
    const { onProgress, signal, again = false, ...rest } = options;
    const engine = await this.#context.openEngine();
    const interrupt = (): void => engine.interrupt();
    signal?.addEventListener("abort", interrupt);
    try {
      const { name, id } = this.#source;
      const hashes = id === undefined ? await checkNotImported(this.#online, engine, name, files, again) : [];
      const {
        before: _before,
        after: _after,
        ...report
      } = await importHistory({
        ...rest,
        source: this.#source,
        views: this.#views(),
        files,
        archive: this.#archive,
        log: this.#pipeline.log,
        engine,
        clock: this.#context.clock,
        deadLetters: this.#pipeline.deadLetters,
        holdPushes: () => this.#gate.close(),
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      if (hashes.length > 0) await rememberImported(this.#online, name, hashes, this.#context.clock.now());
      await this.#takeUpHistory();
      if (this.#pipeline.log.nextOffset > 0) this.#gate.open();
      await this.#bringUp(this.#views(), onProgress);
      return report;
    } finally {
      signal?.removeEventListener("abort", interrupt);
      await engine.close();
    }
  }

  /** Folds into each view the history it lacks, and starts those that do not run. */
  async #bringUp(views: readonly CatalogView[], onProgress?: OnProgress): Promise<void> {
    const { signal } = this.#closing;
    for (const view of views) await this.#builder.bringUp(view, this.#pipeline, this.#archive, { onProgress, signal });
  }

  /** Views that have no event to be computed from at once, the others behind whatever asks for a change first. */
  async #bringUpBehind(views: readonly CatalogView[]): Promise<void> {
    const { historyEnd, liveEnd } = await this.#archive.files();
    if (historyEnd === HISTORY_BASE && liveEnd === 0) return this.#bringUp(views);
    const missing = views.filter(({ name }) => this.#pipeline.runner(name) === undefined);
    this.#queued = missing.map(({ name }) => `view ${name}`);
    const building = this.#turns
      .take(() => this.#bringUp(views))
      .finally(() => {
        this.#queued = [];
      });
    building.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#buildFailure = asOnefoldError(error);
    });
  }

  /** What a push must know of history: its last known time, and its ids. */
  async #takeUpHistory(): Promise<void> {
    // A live event stands behind all history, so it cannot be known before it.
    const files = await this.#archive.files();
    this.#pipeline.log.raiseKnownTime(files.lastHistoryKnownTime);
    this.#historyEndsAt = files.lastHistoryKnownTime;
    await rememberHistoryIds(this.#context, this.#online, this.#source, files);
  }

  /** Opens it with the views that stand; the others are brought up by `#bringUpAll`. */
  async #openParts(onProgress?: OnProgress): Promise<void> {
    const { clock, dataDir, engine, offline, publishes, stateMemory } = this.#context;
    const views = this.#views();
    this.#archive = await openOwnEventArchive(offline, engine, this.#source);
    this.#pipeline = await openSourcePipeline({
      source: this.#source,
      views: views.filter((view) => this.#builder.isStored(view)).map(pipelineView),
      storage: diskStorage,
      folder: dataDir,
      store: this.#online,
      clock,
      hotBytesMax: () => stateMemory.bytesPerView,
      // Servers on the other store have the states and nothing else.
      wholeStates: publishes,
      refold: (view, run) => this.#refold(view, run),
      ...(onProgress === undefined
        ? {}
        : { onReplay: (done: number, total: number) => onProgress({ phase: `log of ${this.name}`, done, total }) }),
    });
    // Plans hold runners of the pipeline before, which fold no more.
    this.#context.revision.count += 1;
    this.#archiver = new Archiver({
      pipeline: this.#pipeline,
      store: this.#online,
      archive: this.#archive,
      rowTable: ({ view }) => openFeatureRowTable(offline, engine, view.definition, view.entity),
    });
    await this.#takeUpHistory();
  }

  /** `isBehind`: what takes long is done behind whatever comes first. */
  async #bringUpAll(isBehind: boolean, onProgress?: OnProgress): Promise<void> {
    const views = this.#views();
    if (isBehind) await this.#bringUpBehind(views);
    else await this.#bringUp(views, onProgress);
  }

  async #closeParts(): Promise<void> {
    await this.#archiver.close();
    await this.#pipeline.close();
  }

  /** The views this process can compute; serving answers for the others with the reason. */
  #views(): CatalogView[] {
    return this.#context.catalog.computableOn(this.name);
  }
}
