/**
 * Clocks are passed in. Nothing in the platform asks the machine for the time but `systemClock`,
 * and nothing in the fold asks at all: it is handed `asOf`.
 */
import type { Micros } from "./micros.ts";

export interface Clock {
  /** The present time. Need not be monotone: callers that need that keep a running maximum. */
  now(): Micros;
}

/** When the process began: the same as long as it runs, and asked for at each vector. */
const ORIGIN_MILLIS = performance.timeOrigin;

/** The machine's clock, with the sub-millisecond part where the runtime has one. */
export const systemClock: Clock = {
  now(): Micros {
    return Math.round((ORIGIN_MILLIS + performance.now()) * 1000) as Micros;
  },
};

/**
 * A clock for replays of recorded history and for tests. It stands where it was put, or, with a speed, runs
 * from there so many times as fast as `base`: at 60 an hour of history passes in a minute.
 */
export class ReplayClock implements Clock {
  readonly #speed: number;
  readonly #base: Clock;
  #now: Micros;
  #baseNow: Micros;

  constructor(start: Micros, options: { readonly speed?: number; readonly base?: Clock } = {}) {
    this.#speed = options.speed ?? 0;
    this.#base = options.base ?? systemClock;
    this.#now = start;
    this.#baseNow = this.#base.now();
  }

  now(): Micros {
    if (this.#speed === 0) return this.#now;
    const passed = Math.max(0, this.#base.now() - this.#baseNow);
    return Math.round(this.#now + passed * this.#speed) as Micros;
  }

  /** Moves to `time`; moving backwards is ignored, as recorded history never runs backwards. */
  advanceTo(time: Micros): void {
    if (time <= this.now()) return;
    this.#now = time;
    this.#baseNow = this.#base.now();
  }
}
