/**
 * What a table leaves behind, deleted: files that left it, files that never became part of it, old entries of its log.
 *
 * The order makes a crash between any two deletions harmless. Files of rows go first: the log still names them as removed,
 * and the next run finds some of them gone. Then comes a checkpoint that names them no more. Entries of the log go last,
 * the oldest first, and only those in front of a checkpoint: what is left always begins with one.
 *
 * A file that no version names may be one that is about to be committed. How long that can take nobody knows; a day is
 * longer than any write that is under way, and that long such a file stays, whatever was asked for.
 */
import type { DeltaLog } from "./delta-log.ts";
import { fileOf, isReplaced } from "./delta-commit.ts";
import type { DeltaState } from "./delta-state.ts";
import type { CleanUpReport, CleanUpRequest } from "./offline-store.ts";
import type { TableStorage } from "./table-storage.ts";

/** What no version names stays for so long, for writers that are about to commit it. */
const UNNAMED_KEPT_MS = 24 * 3_600_000;

interface Parts {
  readonly folder: string;
  readonly log: DeltaLog;
  /** The newest version. */
  readonly state: DeltaState;
  readonly storage: TableStorage;
}

export async function cleanUp(
  { folder, log, state, storage }: Parts,
  request: CleanUpRequest,
  nowMillis: number,
): Promise<CleanUpReport> {
  const { keptMillis, logKeptMillis, isUnneeded, dryRun = false } = request;
  const named = new Set([...state.added.values()].map((add) => fileOf(add, folder).path));
  const removed = [...state.removed.values()].map((remove) => ({ remove, file: fileOf(remove, folder) }));
  const due = removed.filter(
    ({ remove, file }) =>
      (remove.deletionTimestamp ?? 0) < nowMillis - keptMillis && (isReplaced(remove) || isUnneeded(file)),
  );
  const duePaths = new Set(due.map(({ file }) => file.path));
  for (const { file } of removed) named.add(file.path);
  const unnamedBefore = nowMillis - Math.max(keptMillis, UNNAMED_KEPT_MS);
  const files = (await storage.files(folder)).filter(
    ({ path, writtenMillis }) =>
      duePaths.has(path) ||
      (!named.has(path) && writtenMillis < unnamedBefore && !path.slice(folder.length).startsWith("/_delta_log/")),
  );
  const logFiles = await log.outdated(nowMillis - logKeptMillis, nowMillis - UNNAMED_KEPT_MS);
  if (!dryRun) {
    for (const { path } of files) await storage.remove(path);
    for (const { remove } of due) state.removed.delete(remove.path);
    if (due.length > 0) await log.checkpoint(state);
    for (const { path } of logFiles) await storage.remove(path);
  }
  return {
    files: files.map(({ path }) => path).toSorted(),
    bytes: [...files, ...logFiles].reduce((sum, { bytes }) => sum + bytes, 0),
    logFiles: logFiles.length,
  };
}
