/**
 * How fast a backfill may go: it works in slices of a few milliseconds, gives up the turn after each, and then rests in
 * proportion, so that requests and live events never wait for more than a slice.
 */

import type { WorkPace } from "../online-store/online-store.ts";

/** Longest work between two rests: well below what a request may take. */
const SLICE_MS = 1;

export class BackfillPace implements WorkPace {
  readonly #share: () => number;
  #sliceBegan = performance.now();
  #owedMs = 0;

  /** `share` gives the part of the time that it may work, above 0 and up to 1; asked at each rest, for it may change. */
  constructor(share: () => number) {
    this.#share = share;
  }

  /** Whether a rest is due. Cheap enough to be asked after every few events. */
  get isDue(): boolean {
    return performance.now() - this.#sliceBegan >= SLICE_MS;
  }

  /** Waits as long as it takes to make up for the work since the last one. */
  async rest(): Promise<void> {
    const began = performance.now();
    const share = this.#share();
    this.#owedMs += (began - this.#sliceBegan) * (1 / share - 1);
    // Timers have a grain of a millisecond and oversleep: what was slept too long is taken off what is owed.
    if (this.#owedMs >= 1) await new Promise((resolve) => setTimeout(resolve, this.#owedMs));
    else await new Promise((resolve) => setImmediate(resolve));
    this.#sliceBegan = performance.now();
    this.#owedMs = Math.max(0, this.#owedMs - (this.#sliceBegan - began));
    if (share === 1) this.#owedMs = 0;
  }

  /** What was waited for, such as the engine, is no work of this thread. */
  resume(): void {
    this.#sliceBegan = performance.now();
  }
}
