/** How the reads of a batch source go, as commands print it: times as text. */
import { systemClock } from "../base/clock.ts";
import { asOnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { Definition } from "../define/definition.ts";
import { readBatchState } from "../platform/data-folder.ts";
import type { AnsweredStatus } from "./poll-status-text.ts";
import { timeText } from "./time-text.ts";

export interface BatchStatus {
  /** Null for what is read by hand alone. */
  readonly schedule: string | null;
  readonly last_success_at: string | null;
  /** Runs that failed since one succeeded. */
  readonly failures: number;
  readonly last_error: AnsweredStatus["last_error"];
  /** Null while no process reads it by its schedule. */
  readonly next_due_at: string | null;
}

/** Null for what is not read in batches. */
export async function batchStatusOf(dataDir: string, definition: Definition): Promise<BatchStatus | null> {
  if (definition.kind !== "batch") return null;
  const { schedule = null, name } = definition;
  try {
    const { runs, failures, nextDueAt } = await readBatchState(dataDir, name);
    const error = runs.findLast((run) => run.error !== null)?.error ?? null;
    return {
      schedule,
      last_success_at: timeText(runs.findLast(({ status }) => status === "succeeded")?.endedAt ?? null),
      failures,
      last_error: error === null ? null : { ...error, at: formatMicros(error.at as Micros) },
      next_due_at: timeText(nextDueAt),
    };
  } catch (thrown) {
    // The other sources are shown all the same.
    const { code, message, where = null, hint = null } = asOnefoldError(thrown);
    const error = { at: formatMicros(systemClock.now()), code, message, where, hint };
    return { schedule, last_success_at: null, failures: 0, last_error: error, next_due_at: null };
  }
}
