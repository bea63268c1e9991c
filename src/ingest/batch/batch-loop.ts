/**
 * Reads a batch source when its schedule says: once for all times that were missed, again after a failure, later each time.
 */
import type { Clock } from "../../base/clock.ts";
import type { Micros } from "../../base/micros.ts";
import { backOffMicros } from "../http-poll/retry-after.ts";
import type { BatchReader } from "./batch-reader.ts";
import { missedScheduled, nextScheduled } from "./schedule.ts";

export interface BatchLoopOptions {
  readonly reader: BatchReader;
  readonly schedule: string;
  readonly clock: Clock;
  /** Resolves after so long, or at once where the signal is given. */
  wait(micros: number, signal: AbortSignal): Promise<unknown>;
  random(): number;
}

/** A wait longer than this is taken in parts, for clocks are set and timers have their limits. */
const WAIT_MICROS_MAX = 60_000_000;

export class BatchLoop {
  readonly #options: BatchLoopOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  /** Begins at once. Close it. */
  constructor(options: BatchLoopOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Gives up what is under way, which goes on the next time, and waits for that. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#options.reader.dueAt(null).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { reader, schedule, clock, random } = this.#options;
    const { signal } = this.#closing;
    const began = clock.now();
    // The reader remembers and shows what fails. Where the disk is full it cannot, so it is counted here, too.
    let refused = 0;
    let refusedAt = 0;
    while (!signal.aborted) {
      const state = await reader.state().catch(() => null);
      if (state === null) {
        await this.#waitUntil((clock.now() + WAIT_MICROS_MAX) as Micros);
        continue;
      }
      // A clock that was ahead when it was read last, and was set right: nothing is due behind that time alone.
      const after = Math.min(state.lastScheduledFor ?? began, clock.now()) as Micros;
      const missed = missedScheduled(schedule, after, clock.now());
      const last = state.runs.at(-1);
      const failures = Math.max(state.failures, refused);
      // One that is still said to be running was so when its process ended.
      const isFailing = failures > 0 || state.staged !== null || last?.status === "running";
      let due = nextScheduled(schedule, after);
      if (isFailing) due = retryAt(failures, Math.max(last?.endedAt ?? 0, refusedAt), clock.now(), random);
      if (missed !== null && !isFailing) due = missed;
      await reader.dueAt(due).catch(() => undefined);
      await this.#waitUntil(due);
      if (signal.aborted) return;
      const scheduledFor = missedScheduled(schedule, after, clock.now()) ?? state.lastScheduledFor ?? due;
      try {
        await reader.run({ scheduledFor, signal });
        refused = 0;
      } catch {
        refused++;
        refusedAt = clock.now();
      }
    }
  }

  async #waitUntil(due: Micros): Promise<void> {
    const { clock, wait } = this.#options;
    const { signal } = this.#closing;
    for (let left = due - clock.now(); left > 0 && !signal.aborted; left = due - clock.now()) {
      await wait(Math.min(left, WAIT_MICROS_MAX), signal);
    }
  }
}

function retryAt(failures: number, failedAt: number, now: Micros, random: () => number): Micros {
  return (failures === 0 ? now : Math.max(now, failedAt + backOffMicros(failures, random))) as Micros;
}
