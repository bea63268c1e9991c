/**
 * How fast a job goes, and how long it still takes, from how far it has come: of the phase it is in, since that began.
 */
import type { TrainingProgress } from "../../serve/training-desk.ts";
import type { JobProgress } from "./job-messages.ts";

export class PhaseRate {
  #what = "";
  #startMillis = 0;
  #startDone = 0;

  /** `nowMillis` never goes back. */
  at({ phase, view, done, total }: JobProgress, nowMillis: number): TrainingProgress {
    const what = `${phase} ${view}`;
    if (what !== this.#what) {
      this.#what = what;
      this.#startMillis = nowMillis;
      this.#startDone = done;
    }
    const seconds = (nowMillis - this.#startMillis) / 1000;
    const perSecond = seconds <= 0 ? 0 : (done - this.#startDone) / seconds;
    const left = perSecond <= 0 ? null : Math.round(((total - done) / perSecond) * 10) / 10;
    const secondsLeft = total > 0 && done >= total ? 0 : left;
    return { phase, view, done, total, rows_per_second: Math.round(perSecond), seconds_left: secondsLeft };
  }
}
