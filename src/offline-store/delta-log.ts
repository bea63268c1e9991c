/**
 * The log of one Delta table: what versions there are, and who wins the next one.
 *
 *     _delta_log/00000000000000000000.json        commit 0
 *     _delta_log/00000000000000000010.checkpoint.parquet
 *     _delta_log/_last_checkpoint
 *
 * A commit is one file, written whole and synced under a temporary name and then linked to its own: it is
 * there completely or not at all, and of two writers of one version one finds the name taken. Data files
 * are synced before the commit that names them; one that no commit names is no part of any version. So
 * after a crash at any instant the table is as the last linked commit left it.
 */
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { formatActions, parseActions, type DeltaAction } from "./delta-actions.ts";
import { checkpointsIn, readCheckpoint, writeCheckpoint } from "./delta-checkpoint.ts";
import { DeltaState } from "./delta-state.ts";
import type { QueryEngine } from "./engine.ts";
import type { TableStorage } from "./table-storage.ts";

/** Commits between two checkpoints. */
const CHECKPOINT_INTERVAL = 10;

export class DeltaLog {
  readonly #folder: string;
  readonly #storage: TableStorage;
  readonly #engine: QueryEngine;

  constructor(tableFolder: string, storage: TableStorage, engine: QueryEngine) {
    this.#folder = join(tableFolder, "_delta_log");
    this.#storage = storage;
    this.#engine = engine;
  }

  /** The newest version, or `version`; null where the table does not exist. Throws `TABLE_INVALID`. */
  async load(version?: number): Promise<DeltaState | null> {
    const names = await this.#storage.list(this.#folder);
    const newest = names.reduce(
      (max, name) => Math.max(max, commitVersion(name)),
      checkpointsIn(names)[0]?.version ?? -1,
    );
    if (newest === -1) return null;
    const wanted = version ?? newest;
    if (wanted < 0 || wanted > newest) {
      throw new OnefoldError("TABLE_INVALID", `a table has no version ${wanted}; its newest is ${newest}`, {
        where: this.#folder,
      });
    }
    const state = await this.#startFromCheckpoint(names, wanted);
    while (state.version < wanted) {
      if (!(await this.advance(state))) {
        throw new OnefoldError("TABLE_INVALID", `commit ${state.version + 1} of a table is missing`, {
          where: this.#folder,
        });
      }
    }
    return state;
  }

  /** What a version's commit did; null where there is no such version, or it was cleaned away. */
  async actions(version: number): Promise<readonly DeltaAction[] | null> {
    const path = this.#commitPath(version);
    const text = await this.#storage.read(path);
    return text === null ? null : parseActions(text, path);
  }

  /** Applies the next commit to `state`; returns its actions, or false where there is none yet. */
  async advance(state: DeltaState): Promise<readonly DeltaAction[] | false> {
    const actions = await this.actions(state.version + 1);
    if (actions === null) return false;
    state.apply(actions, state.version + 1, this.#commitPath(state.version + 1));
    return actions;
  }

  /** Writes the commit behind `state` and applies it; false where another writer took that version. */
  async put(state: DeltaState, actions: readonly DeltaAction[]): Promise<boolean> {
    await this.#storage.makeFolder(this.#folder);
    const version = state.version + 1;
    const path = this.#commitPath(version);
    if (!(await this.#storage.putIfAbsent(path, formatActions(actions)))) return false;
    state.apply(actions, version, path);
    if (version > 0 && version % CHECKPOINT_INTERVAL === 0) {
      // The commit stands whatever becomes of its checkpoint: readers then start from an earlier one.
      await writeCheckpoint(this.#engine, this.#storage, this.#folder, state).catch(() => {});
    }
    return true;
  }

  async #startFromCheckpoint(names: readonly string[], wanted: number): Promise<DeltaState> {
    for (const { version, files } of checkpointsIn(names)) {
      if (version > wanted) continue;
      const actions = await readCheckpoint(this.#engine, this.#folder, files);
      if (actions === null) continue;
      const state = new DeltaState();
      state.apply(actions, version, files[0]!);
      return state;
    }
    return new DeltaState();
  }

  #commitPath(version: number): string {
    return join(this.#folder, `${String(version).padStart(20, "0")}.json`);
  }
}

function commitVersion(name: string): number {
  const match = /^(\d{20})\.json$/.exec(name);
  return match === null ? -1 : Number(match[1]);
}
