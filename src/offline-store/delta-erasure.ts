/**
 * What a table and its log still say of rows that were taken out of it, gone at once, beside writers and readers.
 *
 *     files that left the table ─▶ checkpoint ─▶ what writers left unfinished ─▶ entries ─▶ checkpoints before
 *
 * Entries hold the smallest and largest values of files that are deleted now. They are not deleted with them: a writer that read
 * the table a moment ago would find the name of its commit free in the past. They are written again without these values, in
 * their place (`delta-redaction.ts`): the log says the same to every reader, whichever of the two an entry is at the moment, and
 * wherever this is cut short. What it says twice is no harm; so it is done again from its beginning. Entries that are older
 * than a day go, as in `delta-clean-up.ts`, oldest first and in front of a checkpoint.
 *
 * A checkpoint of before has the same values, and is of no use beside the new one. One that a writer was about to write is taken
 * back by that writer, as it comes late.
 */
import type { RemoveAction } from "./delta-actions.ts";
import { atOnce } from "../base/at-once.ts";
import { checkpointsIn } from "./delta-checkpoint.ts";
import { type CleanedTable, deletable, oldestFirst, removedBefore, UNNAMED_KEPT_MS } from "./delta-clean-up.ts";
import type { LogFile } from "./delta-log.ts";
import type { TableFile } from "./offline-store.ts";

/** As `OfflineTable.erase`. No clock says what goes: all of it does. */
export async function erase(table: CleanedTable, isUnneeded: (file: TableFile) => boolean): Promise<void> {
  const { folder, state, storage } = table;
  const due = removedBefore(state, folder, isUnneeded, Number.POSITIVE_INFINITY);
  const unnamedBefore = (await storage.clockMillis(folder)) - UNNAMED_KEPT_MS;
  for (const { path } of await deletable(table, due, unnamedBefore)) await storage.remove(path);
  state.forget(due);
  await eraseFromLog(table, due, unnamedBefore);
}

async function eraseFromLog(
  { log, state, storage }: CleanedTable,
  due: readonly RemoveAction[],
  namesKeptSinceMillis: number,
): Promise<void> {
  const newestOf = (files: readonly { readonly name: string }[]): number =>
    checkpointsIn(files.map(({ name }) => name))[0]?.version ?? -1;
  const before = newestOf(await log.files());
  // One that was written, and the pointer to it was not, is written once more: what is removed below is in front of the pointer.
  const isBehind = before !== -1 && (before < state.version || (await log.pointedAt()) < before);
  if (due.length > 0 || isBehind) await log.checkpoint(state);
  const files = (await log.files()).toSorted(oldestFirst);
  const newest = newestOf(files);
  // Before the entries: another engine keeps sums of them in such files, and believes these where they are there.
  for (const { path, isTemporary } of files) if (isTemporary) await storage.remove(path);
  const entries = files.filter(({ isCommit, version }) => isCommit && version !== null && version <= state.version);
  const isKept = ({ version, writtenMillis }: LogFile): boolean =>
    version! >= newest || writtenMillis >= namesKeptSinceMillis;
  const firstKept = entries.findIndex(isKept);
  const oldCount = firstKept === -1 ? entries.length : firstKept;
  for (const { path } of entries.slice(0, oldCount)) await storage.remove(path);
  // In no order: each says the same before and after.
  await atOnce(storage.atOnceMax ?? 1, entries.slice(oldCount), (file) => log.redact(file, state));
  for (const { path, version, isCommit } of files) {
    if (!isCommit && version !== null && version < newest) await storage.remove(path);
  }
}
