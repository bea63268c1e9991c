/** What monitoring is told of a source that is read again and again. */
import type { PollGauges } from "../monitor/metrics/monitored-house.ts";

/** Microseconds; null where there is none. */
export interface Reading {
  readonly lastSuccessAt: number | null;
  readonly nextDueAt: number | null;
  readonly failures: number;
}

export function readingGauges({ lastSuccessAt, nextDueAt, failures }: Reading, now: number): PollGauges {
  return {
    sinceSuccessSeconds: lastSuccessAt === null ? null : Math.max(0, now - lastSuccessAt) / 1e6,
    dueInSeconds: nextDueAt === null ? null : (nextDueAt - now) / 1e6,
    failures,
  };
}
