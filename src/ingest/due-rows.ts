/**
 * Reads the feature rows of closed minutes a few at a time, so that pushes and requests get their turns in between: when
 * a minute ends, there may be one for each entity of each view.
 */

const SLICE_MS = 0.5;
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

  /** `onRead` is told of each few that were read. */
  constructor(options: { views(): Iterable<DueRows>; onRead(): void; onError(error: unknown): void }) {
    this.#views = () => options.views();
    this.#onRead = () => options.onRead();
    this.#onError = (error) => options.onError(error);
  }

  /** Begins where there are any. */
  wake(): void {
    if (this.#next !== null) return;
    for (const { dueRows } of this.#views()) {
      if (dueRows === 0) continue;
      this.#next = setImmediate(() => this.#slice());
      return;
    }
  }

  stop(): void {
    if (this.#next !== null) clearImmediate(this.#next);
    this.#next = null;
  }

  #slice(): void {
    this.#next = null;
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
