/** The data files of a Delta table that another engine may have written. */
import { resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { pathIn } from "./delta-commit.ts";
import { DeltaLog } from "./delta-log.ts";
import type { QueryEngine } from "./engine.ts";
import { diskTableStorage } from "./table-storage.ts";

/** A version of a table; a table that was made anew in the same place has another id. */
export interface ReadVersion {
  readonly version: number;
  /** Null where it is not known. */
  readonly tableId: string | null;
}

export interface DeltaFiles extends ReadVersion {
  /** Absolute paths, of all versions up to the newest. */
  readonly files: readonly string[];
  /** Those of versions that took rows out, too: what they hold may have been there before. */
  readonly rewritten: readonly string[];
}

/**
 * The table's files, or those that were added after the version `after`, also where they have been joined with others
 * since: a joined file has no new rows. Throws `TABLE_INVALID`, also where a commit after `after` is gone, or a file of one.
 */
export async function readDeltaFiles(
  location: string,
  engine: QueryEngine,
  after: ReadVersion | null,
): Promise<DeltaFiles> {
  const folder = resolve(location);
  const log = new DeltaLog(folder, diskTableStorage, engine);
  const state = await log.load();
  if (state === null) {
    throw new OnefoldError("TABLE_INVALID", `${location} is no Delta table`, {
      where: location,
      hint: "give the folder that holds _delta_log",
    });
  }
  const { version, metaData } = state;
  const tableId = metaData?.id ?? null;
  const absolute = (paths: readonly string[]): string[] => paths.map((path) => pathIn(folder, path));
  if (after === null || (after.tableId !== null && after.tableId !== tableId)) {
    return { files: absolute([...state.added.keys()]), rewritten: [], version, tableId };
  }
  if (version < after.version) throw gone(location, `version ${after.version} was read, and its newest is ${version}`);
  const files: string[] = [];
  const rewritten: string[] = [];
  for (let next = after.version + 1; next <= version; next++) {
    const actions = await log.actions(next);
    if (actions === null) throw gone(location, `version ${next} was not read, and is cleaned away`);
    const takesOut = actions.some(({ remove }) => remove?.dataChange === true);
    for (const { add } of actions) {
      if (add?.dataChange !== true) continue;
      const isThere =
        state.added.has(add.path) || (await diskTableStorage.writtenMillis(pathIn(folder, add.path))) !== null;
      if (!isThere) throw gone(location, `version ${next} was not read, and its files are deleted`);
      (takesOut ? rewritten : files).push(add.path);
    }
  }
  return { files: absolute(files), rewritten: absolute(rewritten), version, tableId };
}

function gone(location: string, why: string): OnefoldError {
  return new OnefoldError("TABLE_INVALID", `what is new in a table cannot be told: ${why}`, {
    where: location,
    hint: "read the source more often than its log is cleaned; without state.json in its folder in batch/ all of it is read again",
  });
}
