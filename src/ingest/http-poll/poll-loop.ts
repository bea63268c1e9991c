/**
 * Polls a source again and again: every so often, later each time while it fails, never twice at once, until closed.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import { asOnefoldError } from "../../base/errors.ts";
import type { StreamDefinition } from "../../define/definition.ts";
import type { PollDefinition } from "../../define/poll-definition.ts";
import { PollRefusal } from "./poll-answer.ts";
import { neverPolled, type PollStatus, readPollStatus, writePollStatus } from "./poll-status.ts";
import { notedFailure } from "../noted-failure.ts";
import { backOffMicros } from "./retry-after.ts";
import { type PollPorts, type PollReport, SourcePoll } from "./source-poll.ts";

export interface PollLoopOptions extends PollPorts {
  readonly dataDir: string;
  readonly source: StreamDefinition;
  readonly poll: PollDefinition;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Resolves after so long, or when aborted. */
  readonly wait: (micros: number, signal: AbortSignal) => Promise<void>;
}

/** Between the end of a poll and the beginning of the next, however long it took. */
const PAUSE_MICROS_MIN = 50_000;

export class PollLoop {
  readonly #options: PollLoopOptions;
  readonly #poll: SourcePoll;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #status: PollStatus;

  /** Begins at once. Close it. */
  constructor(options: PollLoopOptions) {
    this.#options = options;
    const { dataDir, source, poll } = options;
    this.#poll = new SourcePoll(dataDir, source, poll, options);
    this.#status = neverPolled(source.name);
    this.#running = this.#run();
  }

  get status(): PollStatus {
    return this.#status;
  }

  /** Gives a question under way up, and waits for a push under way and what is stored behind it. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, dataDir, source, wait } = this.#options;
    const { signal } = this.#closing;
    const stored = await readPollStatus(dataDir, source.name);
    // Where the clock was ahead at the last poll nobody knows how long is left of what the API has asked for.
    const isAhead = (stored.lastPollAt ?? 0) > clock.now();
    let delay = isAhead ? 0 : Math.max(0, (stored.notBefore ?? 0) - clock.now());
    this.#status = { ...stored, nextDueAt: clock.now() + delay };
    while (!signal.aborted) {
      if (delay > 0) await wait(delay, signal);
      if (signal.aborted) break;
      delay = await this.#pollOnce();
      await writePollStatus(dataDir, this.#status);
    }
    this.#status = { ...this.#status, nextDueAt: null };
    await writePollStatus(dataDir, this.#status);
  }

  /** Returns when to poll next, in microseconds from now. */
  async #pollOnce(): Promise<number> {
    const { clock, poll, source } = this.#options;
    const report: PollReport = { requests: 0, rows: 0, accepted: 0 };
    const startedAt = clock.now();
    let outcome: "rows" | "nothing" | "unchanged" | "failed" = "failed";
    let code: string | null = null;
    let delay: number;
    try {
      const done = await this.#poll.poll(report, this.#closing.signal);
      outcome = done === "unchanged" ? "unchanged" : report.rows > 0 ? "rows" : "nothing";
      delay = Math.max(PAUSE_MICROS_MIN, poll.everyMicros - (clock.now() - startedAt));
      this.#status = {
        ...this.#status,
        lastSuccessAt: clock.now(),
        lastRows: report.rows,
        lastAccepted: report.accepted,
        failures: 0,
        notBefore: null,
      };
    } catch (thrown) {
      const error = asOnefoldError(thrown);
      // Stopped is not failed.
      if (this.#closing.signal.aborted && error.code === "CANCELLED") return 0;
      code = error.code;
      const failures = this.#status.failures + 1;
      const wanted = error instanceof PollRefusal ? error.retryAfterMicros : null;
      delay = Math.max(wanted ?? 0, backOffMicros(failures, this.#options.random));
      this.#status = {
        ...this.#status,
        failures,
        lastError: notedFailure(error, clock.now()),
        notBefore: wanted === null ? null : clock.now() + wanted,
      };
    }
    const now = clock.now();
    this.#status = { ...this.#status, lastPollAt: now, nextDueAt: now + delay, cursor: this.#poll.cursor };
    if (diagnostics.polled.hasSubscribers) {
      const { requests, rows } = report;
      const durationMs = (now - startedAt) / 1000;
      diagnostics.polled.publish({ source: source.name, outcome, code, requests, rows, durationMs });
    }
    return delay;
  }
}
