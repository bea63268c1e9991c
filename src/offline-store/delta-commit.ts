/**
 * A commit as actions of the log, and what makes it meaningless once another's commit came first.
 *
 * Commits that only add files never get in each other's way. Two that remove the same file do, and two of one
 * application id, and any with a change of the schema; and one whose decision hung on there being no file that another
 * has added since.
 */
import { isAbsolute, join } from "node:path";
import { assert } from "../base/assert.ts";
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { AddAction, DeltaAction, RemoveAction } from "./delta-actions.ts";
import { timestampOf } from "./delta-log.ts";
import { type DeltaState, REPLACED_BY } from "./delta-state.ts";
import type {
  FileReplacement,
  NewFile,
  TableCommit,
  TableFile,
  TableFileStats,
  TableVersion,
} from "./offline-store.ts";

/** What a commit did, for a table's history. */
export function tableVersion(version: number, actions: readonly DeltaAction[], folder: string): TableVersion {
  const timestamp = timestampOf(actions);
  const operation = actions.find((action) => action.commitInfo)?.commitInfo?.["operation"];
  const added = actions.flatMap(({ add }) => (add ? [fileOf(add, folder)] : []));
  return {
    version,
    committedAt: timestamp === null ? null : ((timestamp * 1000) as Micros),
    operation: typeof operation === "string" ? operation : null,
    filesAdded: added.length,
    filesRemoved: actions.filter(({ remove }) => remove).length,
    rowsAdded: added.reduce((sum, { rows }) => sum + rows, 0),
  };
}

export function commitInfo(operation: string, timestamp: number): DeltaAction {
  return { commitInfo: { timestamp, operation, operationParameters: {}, engineInfo: "onefold" } };
}

/** Throws `TABLE_CONFLICT` where it removes or replaces what `state` has no more. */
export function commitActions(change: TableCommit, state: DeltaState, now: number, table: string): DeltaAction[] {
  const dataChange = change.dataChange ?? true;
  for (const { path, partition = {} } of [...change.add, ...(change.replace ?? []).map(({ by }) => by)]) {
    const lacking = (state.metaData?.partitionColumns ?? []).filter((column) => !(column in partition));
    // Readers would take its rows for those of no partition, and leave them out where one is asked for.
    assert(lacking.length === 0, `file ${path} says which ${lacking.join(", ")} of table ${table} it is of`);
  }
  return [
    commitInfo(change.operation, now),
    ...(change.txn ?? []).map(({ applicationId, version }) => ({
      txn: { appId: applicationId, version, lastUpdated: now },
    })),
    ...(change.remove ?? []).map((path) => {
      const add = state.added.get(encodePath(path));
      if (add === undefined) throw gone(path, table);
      return removeAction(add, { deletionTimestamp: now, dataChange });
    }),
    ...(change.replace ?? []).flatMap((replacement) => replacing(replacement, state, { now, dataChange, table })),
    ...change.add.map((file) => ({ add: addAction(file, now, dataChange) })),
  ];
}

function replacing(
  { paths, by }: FileReplacement,
  state: DeltaState,
  { now, dataChange, table }: { readonly now: number; readonly dataChange: boolean; readonly table: string },
): DeltaAction[] {
  const common = { deletionTimestamp: now, dataChange };
  const replaced = paths.map((path) => {
    const file = state.added.get(encodePath(path)) ?? state.removed.get(encodePath(path));
    if (file === undefined || isReplaced(file)) throw gone(path, table);
    return file;
  });
  const presentCount = replaced.filter(({ path }) => state.added.has(path)).length;
  // One that was present when the change was decided on is no part of the table any more.
  if (presentCount < paths.length && (paths.length > 1 || presentCount > 0)) throw gone(paths.join(", "), table);
  const [first] = replaced;
  assert(first !== undefined, "a new file takes the place of at least one");
  return [
    ...replaced.map((file) => removeAction({ ...file, tags: { ...file.tags, [REPLACED_BY]: by.path } }, common)),
    presentCount > 0
      ? { add: addAction(by, now, dataChange) }
      : removeAction({ ...first, path: encodePath(by.path), size: by.bytes, tags: by.tags ?? null }, common),
  ];
}

function addAction(file: NewFile, now: number, dataChange: boolean): AddAction {
  return {
    path: encodePath(file.path),
    partitionValues: file.partition ?? {},
    size: file.bytes,
    modificationTime: now,
    dataChange,
    stats: file.stats ?? JSON.stringify({ numRecords: file.rows }),
    ...(file.tags === undefined ? {} : { tags: file.tags }),
  };
}

function removeAction(
  file: Pick<RemoveAction, "path" | "partitionValues" | "size" | "tags"> | AddAction,
  common: { readonly deletionTimestamp: number; readonly dataChange: boolean },
): DeltaAction {
  return {
    remove: {
      path: file.path,
      ...common,
      extendedFileMetadata: true,
      partitionValues: file.partitionValues ?? {},
      size: file.size ?? 0,
      ...(file.tags ? { tags: file.tags } : {}),
    },
  };
}

/** Whether what a file that left the table stood for stands in another file by now. */
export function isReplaced({ tags }: Pick<RemoveAction, "tags">): boolean {
  return tags?.[REPLACED_BY] !== undefined;
}

export function fileOf(action: AddAction | RemoveAction, folder: string): TableFile {
  const stats =
    "stats" in action && action.stats ? (JSON.parse(action.stats) as TableFileStats & { numRecords?: number }) : null;
  return {
    path: pathIn(folder, action.path),
    bytes: action.size ?? 0,
    rows: stats?.numRecords ?? 0,
    tags: action.tags ?? {},
    partition: action.partitionValues ?? {},
    ...(stats === null ? {} : { stats }),
  };
}

/** A writer decides by `lastTxn`: a txn that does not move its application forward was decided on old news. */
export function refuseOldTxn(change: TableCommit, state: DeltaState, table: string): void {
  for (const { applicationId, version, after } of change.txn ?? []) {
    const last = state.txns.get(applicationId)?.version;
    if (last !== undefined && last >= version) throw conflict(applicationId, table);
    if (after !== undefined && after !== (last ?? null)) throw conflict(applicationId, table);
  }
}

/** Throws `TABLE_CONFLICT` where a commit that came first makes `change` meaningless. */
export function refuseConflict(
  change: TableCommit,
  winner: readonly DeltaAction[],
  table: string,
  folder: string,
): void {
  for (const action of winner) {
    const application = action.txn?.appId;
    if (application !== undefined && (change.txn ?? []).some(({ applicationId }) => applicationId === application)) {
      throw conflict(application, table);
    }
    const path = action.remove?.path;
    const touched = [...(change.remove ?? []), ...(change.replace ?? []).flatMap(({ paths }) => paths)];
    if (path !== undefined && touched.some((each) => encodePath(each) === path)) {
      throw conflict(`that removed ${path}`, table);
    }
    if (action.metaData || action.protocol) throw conflict("that changed the schema", table);
    refuseUnseenFile(change, action, table, folder);
  }
}

/** Where the rows stay the same, their new file says nothing that the old ones did not. */
export function refuseUnseenFile(change: TableCommit, action: DeltaAction, table: string, folder: string): void {
  const { decidedBy } = change;
  if (decidedBy === undefined || !action.add || !action.add.dataChange) return;
  if (decidedBy.hangsOn(fileOf(action.add, folder))) throw conflict(`that added ${action.add.path}`, table);
}

export function conflict(which: string, table: string): OnefoldError {
  return new OnefoldError("TABLE_CONFLICT", `another writer's commit ${which} came first in table ${table}`, {
    where: table,
    hint: "read the table again and decide anew",
  });
}

function gone(path: string, table: string): OnefoldError {
  return new OnefoldError("TABLE_CONFLICT", `file ${path} is no part of table ${table} any more`, { where: table });
}

/** Where a file lies that a table's log names. */
export function pathIn(folder: string, logged: string): string {
  const path = decodeURIComponent(logged);
  return isAbsolute(path) ? path : join(folder, path);
}

/** As Delta's log has it: relative, each part URI-encoded but for the sign between a partition column and its value. */
export function encodePath(path: string): string {
  return path
    .split("/")
    .map((part) => encodeURIComponent(part).replaceAll("%3D", "="))
    .join("/");
}
