/**
 * The pushes of one source, from their rows to their answers: whether a push is let in, which of its rows the door and the
 * ids let through, their place in the log, and what is told of each row once it is durable and folded.
 */
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { type PendingLimits, refuseBeyond } from "./backpressure.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Door } from "./door.ts";
import type { EventIds } from "./event-ids.ts";
import { type FileEventLog, ROWS_PER_TURN_MAX } from "./file-event-log.ts";
import type { FoldQueue } from "./fold-queue.ts";
import type { PushResult, RowFaults, RowNames } from "./pipeline.ts";
import { takeIn } from "./push-intake.ts";
import { pushInParts } from "./push-parts.ts";
import { pushResult } from "./push-result.ts";
import { Timeliness } from "./timeliness.ts";
import { deferred, turnBehindOthers } from "./turns.ts";

/** What has more rows is taken in in a turn of its own: reading such a push was one already. */
const ROWS_AT_ONCE = 64;

export interface SourcePushesOptions {
  readonly source: SourceDefinition;
  readonly limits: PendingLimits;
  readonly log: FileEventLog;
  readonly ids: EventIds;
  readonly deadLetters: DeadLetters;
  readonly queue: FoldQueue;
  readonly clock: Clock;
  /** As it is now. */
  door(): Door;
  /** What the source stopped at, or null. */
  failure(): OnefoldError | null;
}

export class SourcePushes {
  readonly #options: SourcePushesOptions;
  readonly #name: string;
  readonly #timeliness: Timeliness;
  /** Known time of the last event that is in the log; -Infinity where there was none. */
  lastEventAt: number;
  #pendingRows = 0;
  #closing = false;
  /** Settles once the pushes before have their places in the log; null where none waits for its turn. */
  #before: Promise<unknown> | null = null;

  constructor(options: SourcePushesOptions, lastEventAt: number) {
    this.#options = options;
    this.#name = options.source.name;
    this.#timeliness = new Timeliness(options.source);
    this.lastEventAt = lastEventAt;
  }

  /** Rows taken in and not yet durable and folded. */
  get pendingRows(): number {
    return this.#pendingRows;
  }

  /** Whoever comes from now on is refused. */
  close(): void {
    this.#closing = true;
  }

  /** `keepRejected`: rows that are refused become dead letters. Throws as `SourcePipeline.push`. */
  async push(
    rows: readonly unknown[],
    faults: RowFaults,
    keepRejected: boolean,
    nameOf?: RowNames,
  ): Promise<PushResult> {
    // All of it at once: a push that is begun is not refused half way, and its last rows count as waiting, too.
    this.#admit(rows.length);
    this.#pendingRows += rows.length;
    let waiting = rows.length;
    try {
      return await pushInParts(rows, faults, async (part, partFaults, from) => {
        const names = nameOf === undefined ? {} : { nameOf: (index: number): string => nameOf(from + index) };
        const result = await this.#accept(part, partFaults, keepRejected, names);
        this.#pendingRows -= part.length;
        waiting -= part.length;
        return result;
      });
    } finally {
      this.#pendingRows -= waiting;
    }
  }

  #admit(rowCount: number): void {
    const failure = this.#options.failure();
    if (failure !== null) throw failure;
    if (this.#closing) throw new OnefoldError("NOT_READY", `source ${this.#name} is closing`);
    const pending = { source: this.#name, rows: this.#pendingRows, bytes: this.#options.log.pendingBytes };
    refuseBeyond(this.#options.limits, pending, rowCount);
  }

  async #accept(
    rows: readonly unknown[],
    faults: RowFaults,
    keepRejected: boolean,
    names: { readonly nameOf?: RowNames },
  ): Promise<PushResult> {
    const { promise: durable, resolve: nowDurable, reject: neverDurable } = deferred();
    const beganMs = diagnostics.durable.hasSubscribers ? performance.now() : 0;
    const { intake, appended } = await this.#inOrder(rows.length, async () => {
      const taken = await takeIn(rows, {
        door: this.#options.door(),
        ids: this.#options.ids,
        clock: this.#options.clock,
        faults,
        ...names,
        lastKnownTime: () => this.#options.log.lastKnownTime,
        durable,
      });
      return { intake: taken, appended: this.#options.log.append(taken.checked, this.#options.clock.now()) };
    });
    const { outcomes, checked, places, rejected, waitFor, differing } = intake;
    let timing = { late: 0, outOfOrder: 0 };
    const folded = appended.then((events) => {
      // First thing after the log, in its order: pushes are folded in the order of their offsets.
      nowDurable();
      this.lastEventAt = events.at(-1)?.knownTime ?? this.lastEventAt;
      if (diagnostics.durable.hasSubscribers)
        diagnostics.durable.publish({ source: this.#name, durationMs: performance.now() - beganMs });
      if (diagnostics.appended.hasSubscribers) timing = this.#timeliness.count(events);
      return this.#options.queue.add(events).then(() => events);
    });
    folded.catch((error: unknown) => {
      for (const { id } of checked) if (id !== null) this.#options.ids.release(id);
      neverDurable(error);
    });
    const stored = keepRejected
      ? this.#options.deadLetters.add(rejected.map(({ letter }) => letter))
      : Promise.resolve([]);
    const [events, letters] = await Promise.all([folded, stored, ...waitFor]);
    const result = pushResult({ outcomes, places, rejected, events, letters });
    if (diagnostics.appended.hasSubscribers) {
      const { outcomes: _outcomes, ...counts } = result;
      diagnostics.appended.publish({ source: this.#name, ...counts, ...timing, differing });
    }
    return result;
  }

  /**
   * Gives pushes their turns: a small one at once where none waits, others behind one another. One that is encoded in parts
   * does not hold up those behind it.
   */
  async #inOrder<T>(rowCount: number, work: () => Promise<T>): Promise<T> {
    if ((this.#before === null && rowCount <= ROWS_AT_ONCE) || rowCount > ROWS_PER_TURN_MAX) return work();
    const before = this.#before;
    const mine = (async () => {
      await before;
      if (rowCount > ROWS_AT_ONCE) await turnBehindOthers();
      return work();
    })();
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#before = settled;
    try {
      return await mine;
    } finally {
      if (this.#before === settled) this.#before = null;
    }
  }

  /** Takes in so many rows by `work`, as a push is: admitted, and waiting until it is done. */
  async counted<T>(rowCount: number, work: () => Promise<T>): Promise<T> {
    this.#admit(rowCount);
    this.#pendingRows += rowCount;
    try {
      return await work();
    } finally {
      this.#pendingRows -= rowCount;
    }
  }
}
