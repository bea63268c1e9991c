/**
 * When a batch source is read next: cron expressions of five fields, in UTC. The only file that knows the library.
 */
import { Cron } from "croner";
import { MICROS_PER_DAY, type Micros } from "../../base/micros.ts";

/** A schedule that never comes, such as the 30th of February, is looked at again after this. */
const NEVER_MICROS = 366 * MICROS_PER_DAY;

/** The first time after `after` that the schedule names. */
export function nextScheduled(schedule: string, after: Micros): Micros {
  const next = cronOf(schedule).nextRun(new Date(Math.floor(after / 1000)));
  return (next === null ? after + NEVER_MICROS : next.getTime() * 1000) as Micros;
}

/** The last time before or at `now` that the schedule names, if it is after `after`: of several that were missed, the newest. */
export function missedScheduled(schedule: string, after: Micros, now: Micros): Micros | null {
  // The library looks for times before the one given.
  const [newest] = cronOf(schedule).previousRuns(1, new Date(Math.floor(now / 1000) + 1));
  if (newest === undefined) return null;
  const missed = (newest.getTime() * 1000) as Micros;
  return missed > after ? missed : null;
}

function cronOf(schedule: string): Cron {
  return new Cron(schedule, { timezone: "UTC", paused: true, domAndDow: false });
}
