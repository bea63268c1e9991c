/**
 * Events that are durable and wait to be folded, in order. What takes a millisecond is folded at once, more in
 * slices, so that reads and other requests get their turns in between: an event may have many views to go into.
 */
import type { LogEvent } from "./event.ts";

const SLICE_EVENTS = 32;
const SLICE_MS_MAX = 1;

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
    if (!this.#scheduled) this.#run();
  }

  /** Resolves once all are folded, rejects once folding has stopped. Must be called in offset order. */
  add(events: readonly LogEvent[]): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    const folded = new Promise<void>((resolve, reject) => this.#queue.push({ events, resolve, reject }));
    if (!this.#scheduled && !this.#paused) this.#run();
    return folded;
  }

  #run(): void {
    this.#scheduled = false;
    const began = performance.now();
    while (this.#failure === null && this.#queue.length > 0) {
      if (!this.#mayFold()) {
        this.#paused = true;
        return;
      }
      const { events, resolve } = this.#queue[0]!;
      const to = Math.min(this.#next + SLICE_EVENTS, events.length);
      try {
        this.#fold(events, this.#next, to);
      } catch (error) {
        this.#failure = { error, knownTime: events[this.#next]!.knownTime };
        this.#onError(error);
        break;
      }
      this.#next = to;
      if (to === events.length) {
        this.#queue.shift();
        this.#next = 0;
        resolve();
      }
      if (this.#queue.length > 0 && performance.now() - began > SLICE_MS_MAX) {
        this.#scheduled = true;
        setImmediate(() => this.#run());
        return;
      }
    }
    if (this.#failure === null) return;
    for (const { reject } of this.#queue) reject(this.#failure.error);
    this.#queue = [];
  }
}
