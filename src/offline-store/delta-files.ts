/** The data files of a Delta table that another engine may have written. */
import { join, resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { DeltaLog } from "./delta-log.ts";
import type { QueryEngine } from "./engine.ts";
import { diskTableStorage } from "./table-storage.ts";

export interface DeltaFiles {
  /** Absolute paths. */
  readonly files: readonly string[];
  /** The newest version of the table. */
  readonly version: number;
}

/**
 * The table's files, or those that were added after the version `after`, also where they have been joined with others
 * since: a joined file has no new rows. Throws `TABLE_INVALID`, also where a commit after `after` is gone.
 */
export async function readDeltaFiles(location: string, engine: QueryEngine, after: number | null): Promise<DeltaFiles> {
  const folder = resolve(location);
  const log = new DeltaLog(folder, diskTableStorage, engine);
  const state = await log.load(after ?? undefined);
  if (state === null) {
    throw new OnefoldError("TABLE_INVALID", `${location} is no Delta table`, {
      where: location,
      hint: "give the folder that holds _delta_log",
    });
  }
  let paths = [...state.added.keys()];
  if (after !== null) {
    paths = [];
    for (let actions = await log.advance(state); actions !== false; actions = await log.advance(state)) {
      for (const { add } of actions) if (add?.dataChange === true) paths.push(add.path);
    }
  }
  return { files: paths.map((path) => join(folder, decodeURIComponent(path))), version: state.version };
}
