/**
 * How fast a backfill may go: it works in slices of a few milliseconds, gives up the turn after each, and then rests in
 * proportion, so that requests and live events never wait for more than a slice.
 */

import type { WorkPace } from "../online-store/online-store.ts";
import type { BackfillBudget } from "./backfill-budget.ts";

/** Longest work between two rests: well below what a request may take. */
const SLICE_MS = 1;

export class BackfillPace implements WorkPace {
  readonly #budget: BackfillBudget;
  #sliceBegan = performance.now();

  /** The budget is that of all backfills together. */
  constructor(budget: BackfillBudget) {
    this.#budget = budget;
  }

  /** Whether a rest is due. Cheap enough to be asked after every few events. */
  get isDue(): boolean {
    return performance.now() - this.#sliceBegan >= SLICE_MS;
  }

  /** Waits as long as it takes to make up for the work since the last one. */
  async rest(): Promise<void> {
    const restMs = this.#budget.restAfter(performance.now() - this.#sliceBegan);
    // Timers have a grain of a millisecond.
    if (restMs >= 1) await new Promise((resolve) => setTimeout(resolve, restMs));
    else await new Promise((resolve) => setImmediate(resolve));
    this.#sliceBegan = performance.now();
  }

  /** What was waited for, such as the engine, is no work of this thread. */
  resume(): void {
    this.#sliceBegan = performance.now();
  }
}
