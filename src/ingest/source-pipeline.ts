/**
 * One source's pipeline.
 *
 *     push ─▶ door ─▶ ids ─▶ log (synced) ─▶ fold into hot states ─▶ answer
 *                │                                    └─▶ flush: states, positions, ids, row notes, outbox
 *                └─▶ dead letters (synced)                       in one commit of the online store
 *
 * Why a crash leaves no hole and no double. The log is the only thing an answer waits for, beside the dead letters; everything
 * else is computed from it. A commit of a view holds all that the events below its position have made of it, and nothing of
 * later ones, for it is taken in one go between two events. A restart reads the positions and folds the log from there; events
 * the states already hold are below them. Dead letters of the fold are durable before the commit that moves the position past
 * their events, and carry the offset in their id, so that a second folding adds none.
 *
 * If a write fails, the pipeline answers everything after with that error until it is opened anew: memory may be ahead of the
 * disk, and only that makes them one again.
 */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";
import type { StateSpace } from "../online-store/online-store.ts";
import { foldRunInto, logLost } from "./catch-up.ts";
import { replayLetters, type ReplayResult } from "./dead-letter-replay.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Door } from "./door.ts";
import { DueRowReader } from "./due-rows.ts";
import { EventIds } from "./event-ids.ts";
import { runsApart } from "./correction-run.ts";
import type { BackfillPace } from "./backfill-pace.ts";
import { nextTurn } from "./turns.ts";
import { type CheckedRow, isRetraction, type LogEvent } from "./event.ts";
import type { FileEventLog } from "./file-event-log.ts";
import { Flusher } from "./flusher.ts";
import { flushesWorth } from "./flush-worth.ts";
import { FoldQueue } from "./fold-queue.ts";
import type { PushResult, RowFaults, RowNames } from "./pipeline.ts";
import { tellFolded } from "./push-result.ts";
import { SourceCommitter } from "./source-committer.ts";
import type { SourcePipelineOptions } from "./source-pipeline-options.ts";
import { SourcePushes } from "./source-pushes.ts";
import { SourceTails } from "./source-tails.ts";
import { SourceViews } from "./source-views.ts";
import { idRulesOf } from "./timeliness.ts";
import type { PipelineView, ViewRunner } from "./view-runner.ts";

const FLUSH_MS = 50;
const FLUSHES_BEHIND_MAX = 3;
const NO_FAULTS: RowFaults = new Map();

export type { SourcePipelineOptions } from "./source-pipeline-options.ts";

export class SourcePipeline {
  readonly source: SourceDefinition;
  readonly log: FileEventLog;
  readonly deadLetters: DeadLetters;
  readonly #options: SourcePipelineOptions;
  readonly #clock: Clock;
  readonly #ids: EventIds;
  readonly #tails: SourceTails;
  readonly #committer: SourceCommitter;
  readonly #flusher: Flusher;
  readonly #queue: FoldQueue;
  readonly #dueRows: DueRowReader;
  readonly #pushes: SourcePushes;
  readonly #views: SourceViews;
  /** Those of `#views` that run. */
  readonly #runners: ReadonlyMap<string, ViewRunner>;
  /** Offset of the next event to be handed to the runners and the ids. */
  #position: number;
  #failure: OnefoldError | null = null;

  constructor(options: SourcePipelineOptions, log: FileEventLog, deadLetters: DeadLetters) {
    const { source, store, clock, statesPerCommit } = options;
    this.#options = options;
    this.source = source;
    this.log = log;
    this.deadLetters = deadLetters;
    this.#clock = clock;
    const storedCount = source.columns.length;
    this.#ids = new EventIds({ source: source.name, store, storedCount, ...idRulesOf(source) });
    this.#flusher = new Flusher({
      delayMs: options.flushMs ?? FLUSH_MS,
      flush: () => this.#flush(),
      hasWork: () => this.#hasWrites(),
      onIdle: () => this.#queue.resume(),
    });
    this.#queue = new FoldQueue({
      fold: (events, from, to) => this.#fold(events, from, to),
      onError: (error) => this.#fail(error),
      mayFold: () => !this.#committer.isTaking && (!this.#flusher.isRunning || this.#unflushed() < FLUSHES_BEHIND_MAX),
    });
    const views = (): Iterable<ViewRunner> => (this.failure === null ? this.#runners.values() : []);
    const onRead = (): void => this.#flusher.changed();
    this.#dueRows = new DueRowReader({ views, onRead, onError: (error) => this.#fail(error) });
    this.#tails = new SourceTails(options);
    this.#views = new SourceViews({
      options,
      tails: this.#tails,
      log,
      position: () => this.#position,
      foldRun: (run, runner) => this.#foldRun(run, [runner], false),
      commitStates: (runner) => this.#committer.commitStates(runner),
      flush: () => this.#flusher.finish(),
      failure: () => this.failure,
    });
    this.#runners = this.#views.running;
    this.#committer = new SourceCommitter({
      source: source.name,
      store,
      deadLetters,
      ids: this.#ids,
      tails: this.#tails,
      log,
      clock,
      statesPerCommit,
      lastEventAt: () => this.#pushes.lastEventAt,
      onTaken: () => this.#queue.resume(),
    });
    this.#pushes = new SourcePushes(
      {
        source,
        limits: options,
        log,
        ids: this.#ids,
        deadLetters,
        queue: this.#queue,
        clock,
        door: () => this.door,
        failure: () => this.failure,
      },
      this.#committer.stored.lastEventAt,
    );
    this.#position = this.#committer.stored.position;
    log.raiseKnownTime(this.#committer.stored.knownTime);
  }

  /** Of the source and its views as they are now. */
  get door(): Door {
    return this.#views.door;
  }

  /** The runner of `view@version`: its states and epoch. Undefined for a view that is not on this source. */
  runner(view: string): ViewRunner | undefined {
    return this.#runners.get(view);
  }

  get runners(): readonly ViewRunner[] {
    return [...this.#runners.values()];
  }

  /** Known times: of the last event that was pushed, -Infinity where there was none; of the oldest that is not folded. */
  get times(): { readonly lastEvent: number; readonly oldestUnfolded: number | null } {
    return { lastEvent: this.#pushes.lastEventAt, oldestUnfolded: this.#queue.oldestKnownTime };
  }

  /** Rows taken in and not yet durable and folded. */
  get pendingRows(): number {
    return this.#pushes.pendingRows;
  }

  /** The error the pipeline stopped at, or null. */
  get failure(): OnefoldError | null {
    return this.#failure ?? this.log.failure ?? this.deadLetters.failure;
  }

  /**
   * Takes in rows (objects of JSON data); resolves once every row that passed is durable and folded, and every one that did
   * not is a durable dead letter. Up to 100,000 rows that passed are in the log together or, where the disk fails or the
   * process ends, not at all. Throws `BACKPRESSURE` (nothing of it was taken in), `STORAGE_FAILED` (nothing is acknowledged).
   */
  async push(rows: readonly unknown[], faults: RowFaults = NO_FAULTS, nameOf?: RowNames): Promise<PushResult> {
    return this.#pushes.push(rows, faults, true, nameOf);
  }

  /**
   * Takes in corrections, as `correctionRows` gives them; resolves once they are durable and folded. No push may be under way,
   * and all that is in the log must be archived. Throws `STORAGE_FAILED`, and what folds them: then the source stops.
   */
  async correct(rows: readonly CheckedRow[]): Promise<readonly LogEvent[]> {
    return this.#pushes.counted(rows.length, async () => {
      try {
        const run = await this.log.append(rows, this.#clock.now());
        await this.#foldRun(run, this.runners);
        return run;
      } catch (error) {
        this.#fail(error);
        throw error;
      }
    });
  }

  /** The row as the door lets it in. */
  checkRow(row: unknown): CheckedRow {
    return this.door.check(row, this.#clock.now());
  }

  /** `isLive`: the source itself stands there, too. All views go on in one turn. */
  async #foldRun(run: readonly LogEvent[], runners: readonly ViewRunner[], isLive = true): Promise<void> {
    const { refold } = this.#options;
    await foldRunInto({
      run,
      runners,
      source: this.source.name,
      log: this.log,
      refold,
      mayFold: () => (isLive ? this.#untilTaken() : Promise.resolve()),
    });
    if (!isLive) return;
    for (const { id, offset, knownTime, row, eventTime } of run)
      if (!isRetraction({ eventTime, id }) && offset >= this.#position) this.#ids.accepted(id!, row, knownTime);
    this.#position = Math.max(this.#position, run.at(-1)!.offset + 1);
    this.#flusher.changed();
  }

  /** What a flush writes is taken between two events. */
  async #untilTaken(): Promise<void> {
    while (this.#committer.isTaking) await this.#flusher.finish();
  }

  #fold(events: readonly LogEvent[], from: number, to: number): void {
    const beganMs = diagnostics.folded.hasSubscribers ? performance.now() : 0;
    this.#tails.take(events, from, to);
    for (const runner of this.#runners.values()) runner.fold(events, from, to);
    for (let i = from; i < to; i++) {
      const { id, offset, knownTime, row } = events[i]!;
      if (id !== null && offset >= this.#position) this.#ids.accepted(id, row, knownTime);
    }
    this.#position = Math.max(this.#position, events[to - 1]!.offset + 1);
    this.#dueRows.wake();
    if (this.#unflushed() < 1) this.#flusher.changed();
    else this.#flusher.hurry();
    if (diagnostics.folded.hasSubscribers) {
      const durationMs = performance.now() - beganMs;
      tellFolded(this.source.name, this.#runners, { events, from, to }, this.#clock.now(), durationMs);
    }
  }

  #unflushed(): number {
    return flushesWorth(this.#runners.values(), this.#ids.unwrittenCount);
  }

  #hasWrites(): boolean {
    if (this.failure !== null) return false;
    const { position, knownTime } = this.#committer.stored;
    if (this.#position !== position || this.log.lastKnownTime > knownTime) return true;
    return this.#views.flushed.some((runner) => runner.hasWrites);
  }

  async #flush(): Promise<void> {
    if (this.failure !== null) throw this.failure;
    try {
      await this.#committer.commit(
        this.#views.flushed,
        () => this.#position,
        () => this.#queue.resume(),
      );
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= asOnefoldError(error);
    this.#flusher.stop();
  }

  /** Folds what the log holds behind the stored positions. Called once, by `openSourcePipeline`. */
  async replayLog(): Promise<void> {
    await this.#tails.dropLeft();
    const end = this.log.nextOffset;
    const places = [this.#position, ...this.runners.map((runner) => runner.position)];
    const furthest = Math.max(...places);
    if (furthest > end) throw logLost(end, furthest, join(this.#options.folder, "log", this.source.name, "0"));
    const from = Math.min(...places);
    for await (const { kind, events } of runsApart(this.log.read(from))) {
      if (kind === "run") {
        if (!(await this.#replaysRun(events))) return;
      } else {
        await this.#untilTaken();
        this.#fold(events, 0, events.length);
      }
      this.#pushes.lastEventAt = events.at(-1)!.knownTime;
      this.#options.onReplay?.(events.at(-1)!.offset + 1 - from, end - from);
      if (this.#unflushed() >= 1) await this.#flusher.finish();
    }
  }

  /** Whether it could be; where its table is refused nothing behind it is folded until the source is opened anew. */
  async #replaysRun(run: readonly LogEvent[]): Promise<boolean> {
    try {
      await this.#foldRun(run, this.runners);
      return true;
    } catch (error) {
      if (!isTableRefused(error)) throw error;
      this.#fail(error);
      return false;
    }
  }

  /** Leaves every state of the running views whole in the store. */
  writeOutTails(): Promise<void> {
    return this.#views.writeOutTails();
  }

  /**
   * Known-time minutes end by themselves when no event comes: to be called every second or so. Raises the
   * log's known time to the clock's, so that no later event falls into a minute that is closed here.
   */
  tick(): void {
    if (this.failure !== null || this.pendingRows > 0) return;
    const now = this.#clock.now();
    if (this.runners.some((runner) => runner.hasMinuteBefore(now))) {
      this.log.raiseKnownTime(now);
      for (const runner of this.#runners.values()) runner.closeBefore(this.log.lastKnownTime);
    }
    this.#dueRows.wake();
  }

  /** No event can become known at or before this time any more; -Infinity while nothing is known. */
  closedUpTo(): Micros {
    if (this.pendingRows === 0) this.log.raiseKnownTime(this.#clock.now());
    return (this.log.lastKnownTime - 1) as Micros;
  }

  /** Adds a view while the source runs; resolves once it has folded all that is in the log, and the store has its place. */
  addView(view: PipelineView, pace?: BackfillPace): Promise<ViewRunner> {
    return this.#views.add(view, pace);
  }

  /** Stops folding a view. Its stored states and metas are the caller's to remove (`forgetView`). */
  removeView(view: string): Promise<void> {
    return this.#views.remove(view);
  }

  /**
   * Makes a view go on from other states: those of `space`, which hold exactly the events below `position`.
   * Catches up with the log beside the live states and then switches between two events; resolves once the
   * switch is durable. The old space is the caller's to drop.
   */
  switchView(view: string, epoch: number, space: StateSpace, position: number, pace?: BackfillPace): Promise<void> {
    return this.#views.switch(view, epoch, space, position, pace);
  }

  /** Pushes the rows of dead letters again and marks those that got in. */
  async replayDeadLetters(ids: readonly string[] | "all"): Promise<ReplayResult> {
    return replayLetters(this.deadLetters, ids, (rows) => this.#pushes.push(rows, NO_FAULTS, false));
  }

  /** Resolves once all that was pushed is folded and committed. Rejects with the failure that prevents it. */
  async drain(): Promise<void> {
    while (this.pendingRows > 0 && this.failure === null) await nextTurn();
    do await this.#flusher.finish();
    while (this.failure === null && this.runners.some((runner) => runner.hasRowsToWrite));
    if (this.failure !== null) throw this.failure;
  }

  /** Closes without a flush: what it has folded is some other's to fold anew, which nothing of it may come behind. */
  async abandon(error: unknown): Promise<void> {
    this.#fail(error);
    await this.close().catch(() => undefined);
  }

  /** Refuses pushes, waits for those under way, flushes, closes. Safe to call after a failure. */
  async close(): Promise<void> {
    this.#pushes.close();
    this.#flusher.stop();
    try {
      if (this.failure === null) await this.drain();
    } finally {
      this.#dueRows.stop();
      // One that began before a failure goes on.
      await this.#flusher.finish().catch(() => undefined);
      await this.log.close();
      await this.deadLetters.close();
    }
  }
}
