/**
 * When to flush: at most every so many milliseconds after the first change, one flush at a time, and less
 * often where a flush takes long, so that flushing never takes more than a fifth of the time.
 */

const DELAY_FACTOR = 4;
const DELAY_MS_MAX = 2000;

export class Flusher {
  readonly #flush: () => Promise<void>;
  readonly #hasWork: () => boolean;
  readonly #onIdle: () => void;
  readonly #delayMsMin: number;
  #lastMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #stopped = false;

  /** `onIdle` is called after each flush, once none is running. */
  constructor(options: { readonly delayMs: number; flush(): Promise<void>; hasWork(): boolean; onIdle(): void }) {
    this.#delayMsMin = options.delayMs;
    this.#flush = () => options.flush();
    this.#hasWork = () => options.hasWork();
    this.#onIdle = () => options.onIdle();
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Something changed: a flush will follow. */
  changed(): void {
    if (this.#timer !== null || this.#running !== null || this.#stopped) return;
    const delayMs = Math.min(DELAY_MS_MAX, Math.max(this.#delayMsMin, this.#lastMs * DELAY_FACTOR));
    this.#timer = setTimeout(() => void this.#begin().catch(() => undefined), delayMs);
  }

  /** Resolves once all that has changed by now is flushed. Rejects as the flush does. */
  async finish(): Promise<void> {
    await this.#running;
    if (this.#hasWork()) await this.#begin();
  }

  /** Flushes without waiting for the delay. */
  hurry(): void {
    if (this.#running === null && !this.#stopped) void this.#begin().catch(() => undefined);
  }

  /** No flush will begin by itself any more; one under way goes on. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #begin(): Promise<void> {
    if (this.#running !== null) return this.#running;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const began = performance.now();
    this.#running = this.#flush().finally(() => {
      this.#lastMs = performance.now() - began;
      this.#running = null;
      this.#onIdle();
    });
    await this.#running;
    if (this.#hasWork()) this.changed();
  }
}
