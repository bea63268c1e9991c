/**
 * What a table leaves behind, deleted: files that left it, files that never became part of it, old entries of its log.
 *
 * The order makes a crash between any two deletions harmless. Files of rows go first: the log still names them as removed,
 * and the next run finds some of them gone. Then comes a checkpoint that names them no more. Entries of the log go last,
 * the oldest first, and only those in front of a checkpoint: what is left always begins with one.
 *
 * A file that no version names may be one that is about to be committed. How long that can take nobody knows; a day is
 * longer than any write that is under way, and that long such a file stays, whatever was asked for. So does an entry of the
 * log, whose name would be free again.
 *
 * How old something is the storage says, by whose clock all its files are dated: one that was written just now tells what that
 * clock shows. Times that writers put into the log are of their own clocks, as is the clock of who cleans up: by these a file may
 * be younger than the storage says, and then stays longer; never older.
 */
import type { RemoveAction } from "./delta-actions.ts";
import { checkpointsIn } from "./delta-checkpoint.ts";
import type { DeltaLog, LogFile } from "./delta-log.ts";
import { timestampOf } from "./delta-log.ts";
import { fileOf, isReplaced } from "./delta-commit.ts";
import type { DeltaState } from "./delta-state.ts";
import type { CleanUpReport, CleanUpRequest, TableFile } from "./offline-store.ts";
import type { StoredFile, TableStorage } from "./table-storage.ts";

/** What no version names stays for so long, for writers that are about to commit it. */
export const UNNAMED_KEPT_MS: number = 24 * 3_600_000;

export interface CleanedTable {
  readonly folder: string;
  readonly log: DeltaLog;
  /** The newest version. */
  readonly state: DeltaState;
  readonly storage: TableStorage;
}

export async function cleanUp(table: CleanedTable, request: CleanUpRequest, ownMillis: number): Promise<CleanUpReport> {
  const { folder, log, state, storage } = table;
  const { keptMillis, logKeptMillis, isUnneeded, dryRun = false } = request;
  // Only a file that is written tells the storage's clock; who writes nothing takes it for its own.
  const clocks = { ownMillis, storageMillis: dryRun ? ownMillis : await storage.clockMillis(folder) };
  const logged = await log.files();
  const due = await withoutRecent(
    log,
    logged.filter(({ writtenMillis }) => writtenMillis > clocks.storageMillis - keptMillis),
    removedBefore(state, folder, isUnneeded, Math.min(ownMillis, clocks.storageMillis) - keptMillis),
  );
  const files = await deletable(table, due, clocks.storageMillis - Math.max(keptMillis, UNNAMED_KEPT_MS));
  const logFiles = await outdated(log, logged, logKeptMillis, clocks);
  if (!dryRun) {
    for (const { path } of files) await storage.remove(path);
    state.forget(due);
    if (due.length > 0) await log.checkpoint(state);
    for (const { path } of logFiles) await storage.remove(path);
  }
  return {
    files: files.map(({ path }) => path).toSorted(),
    bytes: [...files, ...logFiles].reduce((sum, { bytes }) => sum + bytes, 0),
    logFiles: logFiles.length,
  };
}

/** As `OfflineTable.vacuum`. */
export async function vacuum(
  { folder, log, state, storage }: CleanedTable,
  keptMillis: number,
  isUnneeded: (file: TableFile) => boolean,
  ownMillis: number,
): Promise<number> {
  const candidates = [...state.removed.values()].filter((remove) => {
    return (remove.deletionTimestamp ?? 0) < ownMillis - keptMillis && isUnneeded(fileOf(remove, folder));
  });
  if (candidates.length === 0) return 0;
  const before = (await storage.clockMillis(folder)) - keptMillis;
  // Not read, as writers ask often: of what a checkpoint told of it is known only by when it had left.
  const leftMillis = new Map<number, number>();
  for (const version of new Set(candidates.map(({ path }) => state.removedBy.get(path) ?? state.version))) {
    leftMillis.set(version, (await log.committedMillis(version)) ?? Number.NEGATIVE_INFINITY);
  }
  const due = candidates.filter(({ path }) => leftMillis.get(state.removedBy.get(path) ?? state.version)! <= before);
  for (const remove of due) await storage.remove(fileOf(remove, folder).path);
  // The next checkpoint leaves them out; until then a reopened table knows them again, and nothing is lost by that.
  state.forget(due);
  return due.length;
}

/** Of the files that left the table, those that nobody needs and that had left it by that time, as their removers say. */
export function removedBefore(
  state: DeltaState,
  folder: string,
  isUnneeded: (file: TableFile) => boolean,
  beforeMillis: number,
): readonly RemoveAction[] {
  return [...state.removed.values()].filter((remove) => {
    if ((remove.deletionTimestamp ?? 0) >= beforeMillis) return false;
    return isReplaced(remove) || isUnneeded(fileOf(remove, folder));
  });
}

/** Those that none of these entries of the log has removed. */
async function withoutRecent(
  log: DeltaLog,
  recent: readonly LogFile[],
  removed: readonly RemoveAction[],
): Promise<readonly RemoveAction[]> {
  let left = removed;
  for (const { version, isCommit } of recent) {
    if (left.length === 0) break;
    if (!isCommit || version === null) continue;
    const paths = new Set(((await log.actions(version)) ?? []).map(({ remove }) => remove?.path));
    left = left.filter(({ path }) => !paths.has(path));
  }
  return left;
}

/** Files that are there: those that are due, and those of no version that were written before a time. */
export async function deletable(
  { folder, state, storage }: Omit<CleanedTable, "log">,
  due: readonly RemoveAction[],
  beforeMillis: number,
): Promise<readonly StoredFile[]> {
  const named = new Set(
    [...state.added.values(), ...state.removed.values()].map((action) => fileOf(action, folder).path),
  );
  const duePaths = new Set(due.map((remove) => fileOf(remove, folder).path));
  const isOfLog = (path: string): boolean => path.slice(folder.length).startsWith("/_delta_log/");
  return (await storage.files(folder)).filter(
    ({ path, writtenMillis }) =>
      duePaths.has(path) || (!named.has(path) && writtenMillis < beforeMillis && !isOfLog(path)),
  );
}

/**
 * The files of the log that no version in the time that is kept needs, and what writers that crashed left behind, in the
 * order in which they can be removed: whatever is cut short, the versions that are left can be read.
 */
async function outdated(
  log: DeltaLog,
  files: readonly LogFile[],
  keptMillis: number,
  { ownMillis, storageMillis }: { readonly ownMillis: number; readonly storageMillis: number },
): Promise<readonly LogFile[]> {
  const beforeMillis = storageMillis - Math.max(keptMillis, UNNAMED_KEPT_MS);
  const writtenMillis = new Map(files.flatMap((file) => (file.isCommit ? [[file.version, file.writtenMillis]] : [])));
  let needed = -1;
  for (const { version } of checkpointsIn(files.map(({ name }) => name))) {
    if ((writtenMillis.get(version) ?? Number.POSITIVE_INFINITY) >= beforeMillis) continue;
    const committed = timestampOf((await log.actions(version)) ?? []);
    if (committed === null || committed >= ownMillis - keptMillis) continue;
    needed = version;
    break;
  }
  const entries = files.filter(({ version }) => version !== null && version < needed);
  const temporary = files.filter((file) => file.isTemporary && file.writtenMillis < storageMillis - UNNAMED_KEPT_MS);
  return [...entries.toSorted(oldestFirst), ...temporary];
}

export function oldestFirst(a: LogFile, b: LogFile): number {
  return a.path < b.path ? -1 : 1;
}
