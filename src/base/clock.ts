/**
 * Clocks are passed in. Nothing in the platform asks the machine for the time but `systemClock`,
 * and nothing in the fold asks at all: it is handed `asOf`.
 */
import { type Micros } from "./micros.ts";

export interface Clock {
  /** The present time. Need not be monotone: callers that need that keep a running maximum. */
  now(): Micros;
}

/** The machine's clock, with the sub-millisecond part where the runtime has one. */
export const systemClock: Clock = {
  now(): Micros {
    return Math.round((performance.timeOrigin + performance.now()) * 1000) as Micros;
  },
};

/** A clock that stands where it was put: for replays of recorded history and for tests. */
export class ReplayClock implements Clock {
  #now: Micros;

  constructor(start: Micros) {
    this.#now = start;
  }

  now(): Micros {
    return this.#now;
  }

  /** Moves to `time`; moving backwards is ignored, as recorded history never runs backwards. */
  advanceTo(time: Micros): void {
    if (time > this.#now) this.#now = time;
  }
}
