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
import { basename, join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { formatActions, parseActions, type DeltaAction } from "./delta-actions.ts";
import { checkpointsIn, readCheckpoint, writeCheckpoint } from "./delta-checkpoint.ts";
import { DeltaState } from "./delta-state.ts";
import type { QueryEngine } from "./engine.ts";
import type { StoredFile, TableStorage } from "./table-storage.ts";

/** Of a version that was there, and is not any more. */
export function versionGone(version: number, where: string, why: string): OnefoldError {
  return new OnefoldError("TABLE_VERSION_GONE", `version ${version} of a table cannot be read any more: ${why}`, {
    where,
    hint: "read a later version; onefold tables history shows which there are",
  });
}

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
    for (let names = await this.#storage.list(this.#folder); ;) {
      try {
        return await this.#loadOf(names, version);
      } catch (error) {
        // What was listed may have been cleaned away before it was read: what is left begins with a later checkpoint.
        const listed = await this.#storage.list(this.#folder);
        if (listed.toSorted().join() === names.toSorted().join()) throw error;
        names = listed;
      }
    }
  }

  async #loadOf(names: readonly string[], version: number | undefined): Promise<DeltaState | null> {
    const newest = names.reduce(
      (max, name) => Math.max(max, commitVersion(name)),
      checkpointsIn(names)[0]?.version ?? -1,
    );
    if (newest === -1) return null;
    const wanted = version ?? newest;
    if (wanted < 0 || wanted > newest) {
      throw new OnefoldError("TABLE_VERSION_UNKNOWN", `a table has no version ${wanted}; its newest is ${newest}`, {
        where: this.#folder,
      });
    }
    const state = await this.#startFromCheckpoint(names, wanted);
    while (state.version < wanted) {
      if (await this.advance(state)) continue;
      if (state.version === -1) throw versionGone(wanted, this.#folder, "the log of that time was cleaned away");
      throw new OnefoldError("TABLE_INVALID", `commit ${state.version + 1} of a table is missing`, {
        where: this.#folder,
      });
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

  /**
   * Whether the commit of a version is still there. Where it was cleaned away, so may be the one behind it: to whoever
   * stands at that version the log looks as if it ended there.
   */
  async holds(version: number): Promise<boolean> {
    return (await this.#storage.read(this.#commitPath(version))) !== null;
  }

  /** Writes the checkpoint of a state, so that what it leaves out is left out when the table is opened next. */
  checkpoint(state: DeltaState): Promise<void> {
    return writeCheckpoint(this.#engine, this.#storage, this.#folder, state);
  }

  /**
   * The files of the log that no version since `beforeMillis` needs, and what writers that crashed left behind, in the
   * order in which they can be removed: whatever is cut short, the versions that are left can be read.
   */
  async outdated(beforeMillis: number, temporaryBeforeMillis: number): Promise<StoredFile[]> {
    const files = await this.#storage.files(this.#folder);
    const names = files.map(({ path }) => basename(path));
    let needed = -1;
    for (const { version } of checkpointsIn(names)) {
      const committed = timestampOf((await this.actions(version)) ?? []);
      if (committed === null || committed >= beforeMillis) continue;
      needed = version;
      break;
    }
    const versionOf = (path: string): number =>
      Number(/^(\d{20})\./.exec(basename(path))?.[1] ?? Number.POSITIVE_INFINITY);
    const entries = files.filter(({ path }) => versionOf(path) < needed);
    const temporary = files.filter(
      ({ path, writtenMillis }) => basename(path).startsWith(".") && writtenMillis < temporaryBeforeMillis,
    );
    return [...entries.toSorted((a, b) => (a.path < b.path ? -1 : 1)), ...temporary];
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
    return join(this.#folder, commitName(version));
  }
}

/** When a commit was made, by its writer's clock; null where that is not said. */
export function timestampOf(actions: readonly DeltaAction[]): number | null {
  const timestamp = actions.find(({ commitInfo }) => commitInfo)?.commitInfo?.["timestamp"];
  return typeof timestamp === "number" ? timestamp : null;
}

function commitName(version: number): string {
  return `${String(version).padStart(20, "0")}.json`;
}

function commitVersion(name: string): number {
  const match = /^(\d{20})\.json$/.exec(name);
  return match === null ? -1 : Number(match[1]);
}
