/**
 * A push larger than any that comes over HTTP, in parts one after another, so that what is encoded and folded at a
 * time stays bounded. Each part is in the log whole or not at all; so is every push that is not in parts.
 */
import type { OnefoldError } from "../base/errors.ts";
import type { PushResult, RowFaults, RowOutcome } from "./pipeline.ts";

/** As many as a request may carry. */
export const ROWS_PER_PART = 100_000;

/** If a part fails, those before it stay taken in; the push as a whole is not acknowledged. */
export async function pushInParts(
  rows: readonly unknown[],
  faults: RowFaults,
  accept: (part: readonly unknown[], faults: RowFaults, from: number) => Promise<PushResult>,
): Promise<PushResult> {
  if (rows.length <= ROWS_PER_PART) return accept(rows, faults, 0);
  let [accepted, duplicates, rejected] = [0, 0, 0];
  const outcomes: RowOutcome[] = [];
  for (let from = 0; from < rows.length; from += ROWS_PER_PART) {
    const part = rows.slice(from, from + ROWS_PER_PART);
    const result = await accept(part, faultsOf(faults, from, part.length), from);
    accepted += result.accepted;
    duplicates += result.duplicates;
    rejected += result.rejected;
    for (const outcome of result.outcomes) outcomes.push(outcome);
  }
  return { accepted, duplicates, rejected, outcomes };
}

function faultsOf(faults: RowFaults, from: number, count: number): RowFaults {
  if (faults.size === 0) return faults;
  const part = new Map<number, OnefoldError>();
  for (let i = 0; i < count; i++) {
    const fault = faults.get(from + i);
    if (fault !== undefined) part.set(i, fault);
  }
  return part;
}
