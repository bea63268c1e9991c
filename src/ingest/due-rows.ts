/**
 * Reads the feature rows of closed minutes a few at a time, so that pushes and requests get their turns in between: when
 * a minute ends, there may be one for each entity of each view. Where others have something to do it waits between two
 * slices, so that rows take about a sixth of the time; a loop that has nothing else to do reads nothing but rows.
 */

const SLICE_MS = 0.5;
const PAUSE_MS = 2;
/** What a turn of the loop takes at most in which nobody else did anything. */
const IDLE_TURN_MS = 0.1;
const ROWS_AT_ONCE = 16;

/** A view with rows to be read. */
export interface DueRows {
  readonly dueRows: number;
  captureDue(rowsMax: number): void;
}

export class DueRowReader {
  readonly #views: () => Iterable<DueRows>;
  readonly #onRead: () => void;
  readonly #onError: (error: unknown) => void;
  #next: NodeJS.Immediate | null = null;
  #pause: NodeJS.Timeout | null = null;

  /** `onRead` is told of each few that were read. */
  constructor(options: { views(): Iterable<DueRows>; onRead(): void; onError(error: unknown): void }) {
    this.#views = () => options.views();
    this.#onRead = () => options.onRead();
    this.#onError = (error) => options.onError(error);
  }

  /** Begins where there are any. */
  wake(): void {
    if (this.#next !== null || this.#pause !== null) return;
    for (const { dueRows } of this.#views()) {
      if (dueRows === 0) continue;
      const beganMs = performance.now();
      this.#next = setImmediate(() => this.#turn(performance.now() - beganMs));
      return;
    }
  }

  stop(): void {
    if (this.#next !== null) clearImmediate(this.#next);
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#next = null;
    this.#pause = null;
  }

  #turn(othersMs: number): void {
    this.#next = null;
    if (othersMs <= IDLE_TURN_MS) this.#slice();
    else this.#pause = setTimeout(() => this.#slice(), PAUSE_MS);
  }

  #slice(): void {
    this.#pause = null;
    const untilMs = performance.now() + SLICE_MS;
    try {
      for (const view of this.#views()) {
        while (view.dueRows > 0 && performance.now() < untilMs) view.captureDue(ROWS_AT_ONCE);
      }
    } catch (error) {
      this.#onError(error);
      return;
    }
    this.#onRead();
    this.wake();
  }
}
