/**
 * How much of the time all backfills of a process together may work, now: up to a given share, and no more than serving and
 * live events leave. A turn that waits behind others waits the longer the less the loop is idle, by
 * utilization / (1 - utilization) turns in a queue with one server (Kleinrock, Queueing Systems I, 3.2), so that what is
 * left to it is kept idle in part.
 */
import { performance } from "node:perf_hooks";

/** What the loop is kept below, if what is served leaves as much. */
const UTILIZATION_MAX = 0.7;
/** However busy the loop is, a backfill gets on. */
const SHARE_MIN = 0.02;
/** How often it is looked how busy the loop is. */
const LOOK_MS = 100;
/** Of the last look in what is gone by: what is served comes in bursts that are shorter than a look and longer. */
const LAST_LOOK_WEIGHT = 0.3;
/** Timers oversleep, having a grain of a millisecond: so much of it is made up for by less rest later. */
const OVERSLEPT_MS_MAX = 2;

/** Milliseconds since any one point in time. */
export interface LoopTimes {
  /** That have passed. */
  readonly nowMs: number;
  /** In which the event loop had something to do, the backfill's own work too. */
  readonly activeMs: number;
}

export class BackfillBudget {
  readonly #share: () => number;
  readonly #times: () => LoopTimes;
  #looked: LoopTimes;
  #ownMs = 0;
  #ownAtLookMs = 0;
  /** Of the time that others took, from 0 to 1. */
  #others = 0;
  #freeAtMs = 0;

  /** `share` gives the part of the time that it may work at most, above 0 and up to 1; asked each time, for it may change. */
  constructor(share: () => number, times: () => LoopTimes = loopTimes) {
    this.#share = share;
    this.#times = times;
    this.#looked = times();
  }

  /** The part of the time that it may work now, above 0 and up to 1. */
  get share(): number {
    const most = this.#share();
    if (most === 1) return 1;
    const left = UTILIZATION_MAX - this.#others;
    return Math.min(most, Math.max(SHARE_MIN, left));
  }

  /** Counts work that was just done, and says for how many milliseconds nobody may do any more: 0 where all time is its own. */
  restAfter(workedMs: number): number {
    const times = this.#times();
    this.#ownMs += workedMs;
    this.#look(times);
    const { nowMs } = times;
    const { share } = this;
    if (share === 1) {
      this.#freeAtMs = nowMs;
      return 0;
    }
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs - workedMs - OVERSLEPT_MS_MAX) + workedMs / share;
    return Math.max(0, this.#freeAtMs - nowMs);
  }

  #look({ nowMs, activeMs }: LoopTimes): void {
    const passedMs = nowMs - this.#looked.nowMs;
    if (passedMs < LOOK_MS) return;
    const othersMs = activeMs - this.#looked.activeMs - (this.#ownMs - this.#ownAtLookMs);
    const others = Math.min(1, Math.max(0, othersMs / passedMs));
    this.#others += LAST_LOOK_WEIGHT * (others - this.#others);
    this.#looked = { nowMs, activeMs };
    this.#ownAtLookMs = this.#ownMs;
  }
}

function loopTimes(): LoopTimes {
  return { nowMs: performance.now(), activeMs: performance.eventLoopUtilization().active };
}
