/**
 * Tells a process that is stuck from one that is slow. It is asked again and again, and is stuck once so many questions in
 * a row have gone unanswered: counted by the asking, so that time in which this process itself stood still is nobody's fault.
 */

export const BEAT_MILLIS = 5000;
/** Half a minute without a turn: whoever is connected to it has given up. */
const UNANSWERED_MAX = 6;

export class Heartbeat {
  readonly #ask: () => Promise<unknown>;
  #unanswered = 0;

  /** `ask` resolves once the process has had a turn. */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
  }

  /** It has said something, if not yet this: its answer may wait behind much else. */
  heard(): void {
    this.#unanswered = 0;
  }

  /** To be called once in `BEAT_MILLIS`; whether the process is stuck. */
  beat(): boolean {
    if (this.#unanswered === UNANSWERED_MAX) return true;
    this.#unanswered += 1;
    this.#ask().then(
      () => (this.#unanswered = 0),
      // One that has ended is none that is stuck: its end tells of itself.
      () => undefined,
    );
    return false;
  }
}
