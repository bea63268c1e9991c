/**
 * Dead letters pushed again: those that get in are marked as resolved, those refused again stay as they are.
 */
import type { DeadLetters } from "./dead-letters.ts";
import type { PushResult } from "./pipeline.ts";

const LETTERS_PER_PUSH = 2000;

/** What a replay of dead letters came to. */
export interface ReplayResult {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Letters of the fold: their events are in the log, and a new version of the view is what folds them. */
  readonly notReplayable: number;
}

/** `push` must not make dead letters of what it rejects. */
export async function replayLetters(
  deadLetters: DeadLetters,
  ids: readonly string[] | "all",
  push: (rows: readonly unknown[]) => Promise<PushResult>,
): Promise<ReplayResult> {
  const filter = ids === "all" ? {} : { ids: new Set(ids) };
  const letters = await deadLetters.list({ ...filter, limit: Number.POSITIVE_INFINITY });
  const replayable = letters.filter((letter) => letter.stage !== "fold");
  let [accepted, duplicates, rejected] = [0, 0, 0];
  for (let i = 0; i < replayable.length; i += LETTERS_PER_PUSH) {
    const batch = replayable.slice(i, i + LETTERS_PER_PUSH);
    const result = await push(batch.map((letter) => letter.payload));
    const gotIn = batch.filter((_, j) => result.outcomes[j]!.status !== "rejected");
    await deadLetters.resolve(gotIn.map((letter) => letter.id));
    accepted += result.accepted;
    duplicates += result.duplicates;
    rejected += result.rejected;
  }
  return { accepted, duplicates, rejected, notReplayable: letters.length - replayable.length };
}
