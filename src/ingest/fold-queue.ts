/**
 * Events that are durable and wait to be folded, in order. What takes a millisecond is folded at once, more a millisecond a
 * turn, so that reads and other requests get their turns in between: an event may have many views to go into.
 *
 * Events are folded in slices, and the clock is read behind each. A slice has as many as take a part of a millisecond, going
 * by those before it.
 */
import type { LogEvent } from "./event.ts";
import { nextTurn, turnBehindOthers } from "./turns.ts";

const TURN_MS_MAX = 1;
const SLICE_EVENTS_MAX = 32;
/** A slice that took longer is followed by one of half as many events, */
const SLICE_MS_MAX = 0.4;
/** one that took less by one of twice as many. */
const SLICE_MS_MIN = 0.1;

interface Waiting {
  readonly events: readonly LogEvent[];
  resolve(): void;
  reject(error: unknown): void;
}

export class FoldQueue {
  readonly #fold: (events: readonly LogEvent[], from: number, to: number) => void;
  readonly #onError: (error: unknown) => void;
  readonly #mayFold: () => boolean;
  #queue: Waiting[] = [];
  #next = 0;
  #scheduled = false;
  #sliceEvents = 8;
  #paused = false;
  #failure: { readonly error: unknown; readonly knownTime: number } | null = null;

  constructor(options: {
    /** Folds `events[from..to)` into every view; if it throws, folding stops for good. */
    fold(events: readonly LogEvent[], from: number, to: number): void;
    onError(error: unknown): void;
    /** Asked before each slice; once false, nothing is folded until `resume`. */
    mayFold(): boolean;
  }) {
    this.#fold = (events, from, to) => options.fold(events, from, to);
    this.#onError = (error) => options.onError(error);
    this.#mayFold = () => options.mayFold();
  }

  /** Known time of the first event that is not folded; null where all are. It stands still once folding has stopped. */
  get oldestKnownTime(): number | null {
    return this.#failure?.knownTime ?? this.#queue[0]?.events[this.#next]?.knownTime ?? null;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#scheduled) this.#run(false);
  }

  /** Resolves once all are folded, rejects once folding has stopped. Must be called in offset order. */
  add(events: readonly LogEvent[]): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    const folded = new Promise<void>((resolve, reject) => this.#queue.push({ events, resolve, reject }));
    if (!this.#scheduled && !this.#paused) this.#run(false);
    return folded;
  }

  #run(isTurnOfItsOwn: boolean): void {
    this.#scheduled = false;
    let now = performance.now();
    const turnEndsMs = now + TURN_MS_MAX;
    while (this.#failure === null && this.#queue.length > 0) {
      if (!this.#mayFold()) {
        this.#paused = true;
        return;
      }
      const { events, resolve } = this.#queue[0]!;
      const to = Math.min(this.#next + this.#sliceEvents, events.length);
      try {
        this.#fold(events, this.#next, to);
      } catch (error) {
        this.#failure = { error, knownTime: events[this.#next]!.knownTime };
        this.#onError(error);
        break;
      }
      const beganMs = now;
      now = performance.now();
      if (to - this.#next === this.#sliceEvents) this.#fitSlice(now - beganMs);
      this.#next = to;
      if (to === events.length) {
        this.#queue.shift();
        this.#next = 0;
        resolve();
      }
      if (this.#queue.length > 0 && now > turnEndsMs) return this.#goOnLater(isTurnOfItsOwn);
    }
    if (this.#failure === null) return;
    for (const { reject } of this.#queue) reject(this.#failure.error);
    this.#queue = [];
  }

  #fitSlice(tookMs: number): void {
    if (tookMs > SLICE_MS_MAX) this.#sliceEvents = Math.max(1, this.#sliceEvents >> 1);
    else if (tookMs < SLICE_MS_MIN) this.#sliceEvents = Math.min(SLICE_EVENTS_MAX, this.#sliceEvents * 2);
  }

  #goOnLater(isTurnOfItsOwn: boolean): void {
    this.#scheduled = true;
    void (isTurnOfItsOwn ? nextTurn() : turnBehindOthers()).then(() => this.#run(true));
  }
}
