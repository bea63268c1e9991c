/**
 * The way to the first connection takes several round trips (a node that answers, who has which slots, the nodes themselves),
 * and each may take as long as one may: a process that has just started, on a machine that is busy, is slow at all of them.
 */

/** What comes after the first answer takes so many round trips a step: a connection is named before it is asked anything. */
const TRIPS_A_STEP = 2;
/** The first answer, then two steps: who has which slots, and a reply of one that has some. */
const TRIPS_MAX = 1 + 2 * TRIPS_A_STEP;

export class FirstConnection {
  readonly #timeoutMs: number;
  readonly #waiting = new Set<() => void>();
  /** Until when the next step may take. */
  #untilMs = Number.NEGATIVE_INFINITY;
  #isRefused = false;
  #isOver = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** One is done. */
  stepped(): void {
    this.#untilMs = performance.now() + TRIPS_A_STEP * this.#timeoutMs;
  }

  /** A server has said no: it is not waited for any more, and may be there later. */
  refused(): void {
    this.#isRefused = true;
    this.#wake();
  }

  /** It is there, or nobody wants it any more. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** False where it was refused, or a step has taken too long; there may be a connection later. */
  async wait(): Promise<boolean> {
    const beganMs = performance.now();
    while (!this.#isOver) {
      const untilMs = Math.max(beganMs + this.#timeoutMs, this.#untilMs);
      const leftMs = Math.min(untilMs, beganMs + TRIPS_MAX * this.#timeoutMs) - performance.now();
      if (this.#isRefused || leftMs <= 0) return false;
      await this.#turn(leftMs);
    }
    return true;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #turn(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      // Where this process was held up itself, what has come meanwhile is read before.
      const timer = setTimeout(() => setImmediate(wake), Math.ceil(ms));
      this.#waiting.add(wake);
    });
  }
}
