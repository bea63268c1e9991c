/** How the polls of a source go, as commands print it: times as text. */
import { formatMicros, type Micros, parseMicros } from "../base/micros.ts";
import type { Definition } from "../define/definition.ts";
import { type PollStatus, readPollStatus } from "../platform/data-folder.ts";
import { timeText } from "./time-text.ts";

export interface AnsweredStatus {
  readonly last_poll_at: string | null;
  readonly last_success_at: string | null;
  /** Of the last poll that succeeded. */
  readonly rows: number;
  readonly new_rows: number;
  /** Polls that failed since one succeeded. */
  readonly failures: number;
  readonly last_error: {
    readonly at: string;
    readonly code: string;
    readonly message: string;
    readonly where: string | null;
    readonly hint: string | null;
  } | null;
  /** Null while no process polls. */
  readonly next_due_at: string | null;
  readonly cursor: string | null;
}

/** Null for what is not polled. */
export async function pollStatusOf(dataDir: string, definition: Definition): Promise<AnsweredStatus | null> {
  if (definition.kind !== "stream" || definition.poll === undefined) return null;
  return answerStatus(await readPollStatus(dataDir, definition.name));
}

function answerStatus(status: PollStatus): AnsweredStatus {
  const { lastError } = status;
  return {
    last_poll_at: timeText(status.lastPollAt),
    last_success_at: timeText(status.lastSuccessAt),
    rows: status.lastRows,
    new_rows: status.lastAccepted,
    failures: status.failures,
    last_error: lastError === null ? null : { ...lastError, at: formatMicros(lastError.at as Micros) },
    next_due_at: timeText(status.nextDueAt),
    cursor: status.cursor,
  };
}

const PAST_MICROS = 10_000_000;

/** A time long past is that of a process which was killed, or of a poll that takes long. */
export function dueText(due: string | null, now: Micros): string {
  if (due === null) return "nobody polls";
  return parseMicros(due) < now - PAST_MICROS ? `${due} (past)` : due;
}
