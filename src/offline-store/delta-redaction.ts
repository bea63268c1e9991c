/**
 * A commit of the log without what it says of rows: the smallest and largest values of columns in files that are no part of the
 * table any more, and the words of a statement that another engine ran.
 *
 * It means the same as before: paths, sizes, tags and row counts stay, and statistics are what a reader may go without. So it
 * can take the commit's place in the log under the same name, at any moment, for every reader.
 */
import type { AddAction, DeltaAction, RemoveAction } from "./delta-actions.ts";
import type { DeltaState } from "./delta-state.ts";

/** What engines need of a commit's own description. */
const KEPT_INFO: ReadonlySet<string> = new Set([
  "timestamp",
  "inCommitTimestamp",
  "operation",
  "operationParameters",
  "engineInfo",
  "isBlindAppend",
  "isolationLevel",
  "readVersion",
  "txnId",
]);

/** Null where it says nothing of them. */
export function withoutRows(
  actions: readonly DeltaAction[],
  { added }: Pick<DeltaState, "added">,
): readonly DeltaAction[] | null {
  const redacted = actions.map((action): DeltaAction => {
    if (action.commitInfo) return { ...action, commitInfo: infoOf(action.commitInfo) };
    if (action.add && !added.has(action.add.path)) return { ...action, add: countOnly(action.add) };
    if (action.remove) return { ...action, remove: countOnly(action.remove) };
    return action;
  });
  return JSON.stringify(redacted) === JSON.stringify(actions) ? null : redacted;
}

function infoOf(info: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const kept = Object.entries(info).filter(([name]) => KEPT_INFO.has(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, name === "operationParameters" ? {} : value]));
}

function countOnly<T extends AddAction | RemoveAction>(file: T): T {
  const { stats } = file as Partial<AddAction>;
  return stats === undefined || stats === null ? file : { ...file, stats: countIn(stats) };
}

function countIn(stats: string): string | null {
  try {
    const { numRecords } = JSON.parse(stats) as { readonly numRecords?: unknown };
    return typeof numRecords === "number" ? JSON.stringify({ numRecords }) : null;
  } catch {
    return null;
  }
}
