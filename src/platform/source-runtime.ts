/**
 * One running source: what is open of it (`source-parts.ts`), and in which order that is worked with.
 *
 * What changes views or history runs one piece after another; pushes go on beside it, but for three moments in
 * which they wait: while history is put in front of a log that is still empty (its first event would decide
 * what history may hold), in the last moments of any other import (an event that is in both must get in once),
 * and while the pipeline is opened anew: because the source gained columns, or because the disk was full.
 *
 * A pipeline that met a full disk takes nothing more, for its memory may be ahead of what is stored; what was
 * acknowledged is in the log. Once there is room, it is opened anew from there, as after a restart. Reads go on all
 * the while, from the states in memory.
 *
 * Where its archive's table is refused all goes on that does not need it; views that do are brought up once it is restored. Where
 * what is refused is needed to go on at all, for a correction in the log or for history that may have come, it stops in the same way,
 * and is opened anew once the table can be read.
 */
import type { LogMark } from "../ingest/batch/batch-state.ts";
import { refuseBlocked } from "../ingest/blocked-push.ts";
import { asOnefoldError, OnefoldError } from "../base/errors.ts";
import { TurnQueue } from "../base/turn-queue.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { DeadLetters } from "../ingest/dead-letters.ts";
import { type Correction, type CorrectionResult, refuseUncorrectable } from "../ingest/corrections.ts";
import { minuteOf } from "../ingest/feature-rows.ts";
import type { PushResult, RowFaults, RowNames } from "../ingest/pipeline.ts";
import type { ReplayResult } from "../ingest/dead-letter-replay.ts";
import type { SourcePipeline } from "../ingest/source-pipeline.ts";
import type { ViewRunner } from "../ingest/view-runner.ts";
import type { RuntimeFreshness } from "./monitoring/runtime-freshness.ts";
import type { SourceGauges } from "../monitor/metrics/monitored-house.ts";
import type { HistoryArchive } from "../offline-store/delta-event-archive.ts";
import { ignoreRefusal, isTableRefused } from "../offline-store/refused-table.ts";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import { toData } from "../registry/definition-data.ts";
import { correctNow } from "./correct-now.ts";
import type { ForgetOfSource } from "./forget/forget-entity.ts";
import { forgetInSource, type ForgottenOfSource } from "./forget/forget-source.ts";
import type { PreviewOf } from "./forget/preview-entity.ts";
import { previewInSource, type PreviewOfSource } from "./forget/preview-source.ts";
import type { ImportOptions, ImportReport, OnProgress, RuntimeContext } from "./runtime-context.ts";
import { PushGate } from "./push-gate.ts";
import { importNow } from "./import-now.ts";
import { sourceFreshness, sourceGauges } from "./source-gauges.ts";
import { SourceBuilding } from "./source-building.ts";
import { SourceMending } from "./source-mending.ts";
import { SourceParts } from "./source-parts.ts";
import type { CatalogView } from "./view-catalog.ts";
import { historyPlace } from "./view-builder.ts";

const TICK_MS = 1000;

export class SourceRuntime {
  readonly name: string;
  readonly #context: RuntimeContext;
  readonly #online: LocalOnlineStore;
  readonly #parts: SourceParts;
  readonly #ticking: NodeJS.Timeout;
  /** Of what changes views or history. */
  readonly #turns = new TurnQueue();
  readonly #gate = new PushGate(() => this.#pipeline.pendingRows > 0);
  readonly #building: SourceBuilding;
  readonly #mending: SourceMending;
  /** Why opening it anew failed last, or null. */
  #unmended: OnefoldError | null = null;

  private constructor(context: RuntimeContext, online: LocalOnlineStore, source: SourceDefinition) {
    this.#context = context;
    this.#online = online;
    this.name = source.name;
    this.#parts = new SourceParts(context, online, source);
    this.#building = new SourceBuilding({ parts: this.#parts, turns: this.#turns, waitsFor: () => this.waitsFor });
    this.#mending = new SourceMending({
      dataDir: context.dataDir,
      readTable: () => this.#parts.archive.files(),
      isWanted: () => !this.#parts.closing.signal.aborted,
      openAnew: () => this.#turns.take(() => this.#gate.during(() => this.#openAnew())),
    });
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
      await runtime.#parts.open(onProgress);
      await runtime.#building.bringUpAll(context.buildsBehind, onProgress).catch(ignoreRefusal);
    } catch (error) {
      // Or its archiver would go on beside that of the next try.
      await runtime.close().catch(() => undefined);
      throw error;
    }
    return runtime;
  }

  get archive(): HistoryArchive {
    return this.#parts.archive;
  }

  get #pipeline(): SourcePipeline {
    return this.#parts.pipeline;
  }

  get deadLetters(): DeadLetters {
    return this.#pipeline.deadLetters;
  }

  /** What keeps the source from taking events or archiving them, or null. */
  get failure(): OnefoldError | null {
    return this.#stopped ?? this.#parts.archiveTrouble ?? this.#building.failure;
  }

  /** What a table that its events or feature rows go to is refused with until it is restored, or null. */
  get refusedTable(): OnefoldError | null {
    return this.#parts.refusedTable;
  }

  /** What a table is refused with without which it can take no events, or null. It goes on once that is restored. */
  get waitsFor(): OnefoldError | null {
    return isTableRefused(this.#stopped) ? this.#stopped : null;
  }

  /** For whoever asks why the source is not ready, or null. */
  get trouble(): string | null {
    if (this.#stopped !== null && this.waitsFor === null)
      return `source ${this.name}, which stopped: ${this.#stopped.message}`;
    if (this.#building.failure !== null) return `views of source ${this.name}: ${this.#building.failure.message}`;
    const failure = this.#parts.archiveTrouble;
    return failure === null ? null : `the archive of source ${this.name}, which is tried again: ${failure.message}`;
  }

  /** What keeps it from taking events. */
  get #stopped(): OnefoldError | null {
    return this.#unmended ?? this.#parts.notTakenUp ?? this.#pipeline.failure;
  }

  /** Views that do not stand at the present yet, `view name@version`. */
  get building(): readonly string[] {
    return [...new Set([...this.#building.queued, ...this.#parts.builder.building])];
  }

  /** What monitoring asks at each scrape. */
  gauges(): Omit<SourceGauges, "poll" | "batch"> {
    return sourceGauges(this.#parts, {
      up: this.failure === null,
      isTableRefused: (this.waitsFor ?? this.refusedTable) !== null,
    });
  }

  /** What freshness is judged by. */
  freshness(): RuntimeFreshness {
    return sourceFreshness(this.#parts);
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

  /** The same with the place in the log behind all that is known by then; null where the source has stopped. */
  closedLog(): LogMark | null {
    if (!this.#parts.hasPipeline || this.#stopped !== null) return null;
    return { upTo: this.closedUpTo(), position: this.#pipeline.log.nextOffset };
  }

  async push(rows: readonly unknown[], faults?: RowFaults, nameOf?: RowNames): Promise<PushResult> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    this.#refuseIfStopped();
    return this.#pipeline.push(rows, faults, nameOf);
  }

  /** Throws `PUSH_BLOCKED` for rows that nothing may be taken in with. */
  async refuseBlocked(rows: readonly unknown[]): Promise<void> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    await refuseBlocked(this.#pipeline.door, this.name, rows);
  }

  async replayDeadLetters(ids: readonly string[] | "all"): Promise<ReplayResult> {
    while (this.#gate.opening !== null) await this.#gate.opening;
    this.#refuseIfStopped();
    return this.#pipeline.replayDeadLetters(ids);
  }

  /** Brings the archive up to the end of the log. */
  async archiveNow(): Promise<void> {
    await this.#parts.archiveEvents();
  }

  /** Resolves once all that was pushed is in the online store and the offline tables. */
  async settle(): Promise<void> {
    await this.#turns.idle();
    await this.#parts.settle();
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
      const redefined = JSON.stringify(toData(source)) !== JSON.stringify(toData(this.#parts.source));
      if (!redefined) return this.#building.bringUp(views, onProgress);
      await this.#gate.during(async () => {
        await this.#parts.close();
        this.#parts.source = source;
        await this.#reopen(onProgress);
      });
      // Behind the gate: a view may take hours, and no push waits for it.
      await this.#building.bringUp(views, onProgress);
    });
  }

  /** Imports files as history: all of it or nothing. Throws as `importHistory` of `ingest/history-import.ts`. */
  importHistory(files: readonly string[], options: ImportOptions): Promise<ImportReport> {
    return this.#turns.take(async () => {
      try {
        this.#refuseIfStopped();
        if (this.#pipeline.log.nextOffset === 0) await this.#gate.close();
        const source = {
          context: this.#context,
          online: this.#online,
          parts: this.#parts,
          gate: this.#gate,
          viewsMayLack: () => this.#building.lacksHistory(),
        };
        return await importNow(source, files, options);
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
    refuseUncorrectable(this.#parts.source, corrections);
    if (corrections.length === 0) return Promise.resolve({ corrected: 0, rejected: 0, outcomes: [] });
    return this.#turns.take(() =>
      this.#gate.during(async () => {
        // What is corrected is folded anew from the archive: all before the correction must be in it.
        await this.archiveNow();
        this.#refuseIfStopped();
        return correctNow(this.#parts, () => this.#context.openEngine(), corrections);
      }),
    );
  }

  /** Takes an entity out of the source, which is closed meanwhile; pushes wait. */
  forget(asked: ForgetOfSource): Promise<ForgottenOfSource> {
    return this.#turns.take(async () => {
      const forgotten = await this.#gate.during(async () => {
        // What goes is found in the archive: all must be in it, and all feature rows in their tables.
        await this.#parts.settle();
        const lastEventTimes = this.#parts.lastEventTimes(asked.key);
        await this.#parts.close();
        try {
          return await forgetInSource({
            lastEventTimes,
            context: this.#context,
            online: this.#online,
            source: this.#parts.source,
            ...asked,
          });
        } finally {
          await this.#reopen();
        }
      });
      await this.#building.bringUpAll(this.#context.buildsBehind).catch(ignoreRefusal);
      return forgotten;
    });
  }

  /** What there is of an entity. Pushes and reads go on. */
  previewForgetting(asked: PreviewOf): Promise<PreviewOfSource> {
    return this.#turns.take(async () => {
      await this.#parts.settle();
      return previewInSource({ context: this.#context, online: this.#online, source: this.#parts.source, ...asked });
    });
  }

  /**
   * Computes a view anew from its history and the log, beside its states, and has it go on from there at an exact
   * position. Where it is cut short, opening the folder again goes on with it. Throws `VIEW_UNKNOWN`, `CANCELLED`.
   */
  backfill(view: string, onProgress?: OnProgress, signal?: AbortSignal): Promise<void> {
    return this.#turns.take(async () => {
      const found = this.#parts.views().find(({ name }) => name === view);
      if (found === undefined) {
        throw new OnefoldError("VIEW_UNKNOWN", `view ${view} is not folded from source ${this.name}`);
      }
      this.#refuseIfStopped();
      await this.#parts.builder.bringUp(found, this.#pipeline, this.#parts.archive, {
        again: true,
        onProgress,
        signal: AbortSignal.any([this.#parts.closing.signal, ...(signal === undefined ? [] : [signal])]),
      });
    });
  }

  /**
   * Does `work` once all minutes that end at or before the time it is given have their rows in the tables, and while
   * nothing changes views or history.
   */
  withClosedMinutes<T>(work: (to: number, archive: HistoryArchive) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      await this.#parts.settle();
      const to = minuteOf(this.closedUpTo() + 1);
      await this.#parts.settle();
      return work(to, this.#parts.archive);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#ticking);
    // What is being built goes on from there the next time.
    this.#parts.closing.abort();
    await this.#turns.idle();
    if (this.#parts.hasPipeline) await this.#parts.close();
  }

  #tick(): void {
    // Opening may take longer than a tick.
    if (!this.#parts.hasPipeline) return;
    this.#pipeline.tick();
    this.#mending.tick(this.#stopped ?? this.#building.failure);
    this.#building.tick();
  }

  #refuseIfStopped(): void {
    const stopped = this.#stopped;
    if (stopped !== null) throw stopped;
  }

  /** Where it fails the source stays closed until it is mended. */
  async #reopen(onProgress?: OnProgress): Promise<void> {
    try {
      await this.#parts.open(onProgress);
      this.#unmended = null;
    } catch (error) {
      this.#unmended = asOnefoldError(error);
      throw error;
    }
  }

  /** Fails with nothing: where it cannot be opened, the next second tries again, or its failure says why not. */
  async #openAnew(): Promise<void> {
    try {
      await this.#parts.close();
      this.#building.forgetFailure();
      await this.#reopen();
      await this.#building.bringUpAll(true).catch(ignoreRefusal);
    } catch (error) {
      this.#unmended = asOnefoldError(error);
    }
  }
}
