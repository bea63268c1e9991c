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
 *
 * The log is cleaned in front of a checkpoint that `_last_checkpoint` names (or an earlier one), the oldest entry first. That
 * gives names free again. To a writer that stood still meanwhile the log seems to end there, and a commit of such a name would lie in
 * the past: no reader would ever come to it. So
 * - no entry goes that is younger than a day (`delta-clean-up.ts`, `delta-erasure.ts`): that long a name stays taken;
 * - the log ends at a version where that one's entry is still there once the next was not, and `_last_checkpoint` names none
 *   behind it. Where the entry is gone, the table is opened anew;
 * - a commit that was put under its name has come about once the entry in front of it is found to be there still: then no
 *   name from its own on was ever free again. Where it is not, and the newest version does not know the commit, it is taken
 *   back. Whoever crashes in between has told nobody that it was committed; the entry says nothing to anyone, and goes with
 *   the next cleaning.
 */
import { basename, join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { formatActions, parseActions, type DeltaAction } from "./delta-actions.ts";
import { checkpointsIn, lastCheckpoint, readCheckpoint, writeCheckpoint } from "./delta-checkpoint.ts";
import { DeltaState } from "./delta-state.ts";
import { withoutRows } from "./delta-redaction.ts";
import type { QueryEngine } from "./engine.ts";
import type { StoredFile, TableStorage } from "./table-storage.ts";

/** Of a version that was there, and is not any more. */
export function versionGone(version: number, where: string, why: string): OnefoldError {
  return new OnefoldError("TABLE_VERSION_GONE", `version ${version} of a table cannot be read any more: ${why}`, {
    where,
    hint: "read a later version; onefold tables history shows which there are",
  });
}

/** What became of a commit: it is in the log, or another took its version, or its version is in the past. */
export type PutOutcome = "put" | "taken" | "past";

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

  /** Applies all commits behind `state`; what it resolves with is the newest version, `state` itself or opened anew. */
  async catchUp(state: DeltaState): Promise<DeltaState> {
    while (await this.advance(state));
    return (await this.#endsAt(state.version)) ? state : ((await this.load()) ?? state);
  }

  /** Asked once there was no entry behind it. */
  async #endsAt(version: number): Promise<boolean> {
    return (await lastCheckpoint(this.#storage, this.#folder)) <= version && (await this.holds(version));
  }

  /**
   * Whether the commit of a version is still there. Where it was cleaned away, so may be the one behind it: to whoever
   * stands at that version the log looks as if it ended there.
   */
  async holds(version: number): Promise<boolean> {
    return (await this.#storage.writtenMillis(this.#commitPath(version))) !== null;
  }

  /** When the commit of a version was written, by the storage's clock; null where it was cleaned away. */
  committedMillis(version: number): Promise<number | null> {
    return this.#storage.writtenMillis(this.#commitPath(version));
  }

  /** Writes the checkpoint of a state, so that what it leaves out is left out when the table is opened next. */
  checkpoint(state: DeltaState): Promise<void> {
    return writeCheckpoint(this.#engine, this.#storage, this.#folder, state);
  }

  /** Version of the checkpoint that readers are shown; -1 for none. */
  pointedAt(): Promise<number> {
    return lastCheckpoint(this.#storage, this.#folder);
  }

  /** All files of the log. */
  async files(): Promise<LogFile[]> {
    const files = await this.#storage.files(this.#folder);
    return files.map((file) => {
      const name = basename(file.path);
      const version = /^(\d{20})\./.exec(name)?.[1];
      return {
        ...file,
        name,
        version: version === undefined ? null : Number(version),
        isCommit: commitVersion(name) !== -1,
        isTemporary: name.startsWith("."),
      };
    });
  }

  /** Removes what the log says, in `file`, of rows of files that `state` has not any more. */
  async redact(file: LogFile, state: DeltaState): Promise<void> {
    const text = await this.#storage.read(file.path);
    const redacted = text === null ? null : withoutRows(parseActions(text, file.path), state);
    if (redacted === null) return;
    await this.#storage.replace(file.path, formatActions(redacted), file.writtenMillis);
  }

  /** Writes the commit behind `state` and applies it, unless its version is another's. */
  async put(state: DeltaState, actions: readonly DeltaAction[]): Promise<PutOutcome> {
    await this.#storage.makeFolder(this.#folder);
    const version = state.version + 1;
    const path = this.#commitPath(version);
    if (!(await this.#storage.putIfAbsent(path, formatActions(actions)))) return "taken";
    if (await this.#isPast(version, actions)) {
      await this.#storage.remove(path);
      return "past";
    }
    state.apply(actions, version, path);
    if (version > 0 && version % CHECKPOINT_INTERVAL === 0) {
      // The commit stands whatever becomes of its checkpoint: readers then start from an earlier one.
      await writeCheckpoint(this.#engine, this.#storage, this.#folder, state).catch(() => {});
    }
    return "put";
  }

  /** Of a commit that was put: whether its name was free because the log had been cleaned beyond it. */
  async #isPast(version: number, actions: readonly DeltaAction[]): Promise<boolean> {
    if (version > 0 && (await this.#endsAt(version - 1))) return false;
    const names = new Set(await this.#storage.list(this.#folder));
    const newest = checkpointsIn([...names])[0]?.version ?? -1;
    if (newest < version) return false;
    // Others may have gone on from it that far, and nothing of that is cleaned away.
    let next = Math.max(0, version - 1);
    while (next <= newest && names.has(commitName(next))) next++;
    if (next > newest) return false;
    const state = await this.load();
    return !actions.some(({ add }) => add && (state?.added.has(add.path) || state?.removed.has(add.path)));
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

/** A file of the log. */
export interface LogFile extends StoredFile {
  readonly name: string;
  /** Of a commit or a checkpoint, or what else engines keep of a version; null for others. */
  readonly version: number | null;
  readonly isCommit: boolean;
  /** Of a writer that has not finished, or never will. */
  readonly isTemporary: boolean;
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
