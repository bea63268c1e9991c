/**
 * What a training set may take of the machine, and what follows of it.
 *
 * Of the memory that it is given, half is the engine's (sorting, joining; beyond that it spills), a quarter may hold
 * label rows, the rest is for the program itself and the pieces under way. A set whose rows do not fit lies in parts on
 * disk until it is written (see `feature-parts.ts`).
 */
import { mkdtemp, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { storageCode } from "../base/disk-full.ts";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { type FolderLock, type LockedFolder, lockFolder } from "../base/folder-lock.ts";
import type { EngineSettings, QueryEngine } from "../offline-store/engine.ts";
import { filesBehind } from "../offline-store/event-archive.ts";
import type { ValueType } from "../schema/value.ts";
import { holdsNumbers } from "./feature-columns.ts";
import { FeatureParts } from "./feature-parts.ts";
import type { LogSnapshot } from "./log-end.ts";
import type { TrainingPlan } from "./training-plan.ts";
import type { Spine } from "./spine.ts";

/** Of label rows that are held where no limit was given. */
const HELD_BYTES_MAX = 512 * 1024 ** 2;
/** With a byte each for whether it is null, its status, and where its window began. */
const NUMBER_BYTES = 11;
/** A short text or list, roughly. */
const OBJECT_BYTES = 64;

export interface TrainLimits {
  /**
   * Bytes of memory that the work may take, roughly, beside what the process has before it. Default: the engine's own
   * limit, and 512 MiB of label rows.
   */
  readonly memoryBytes?: number;
  /** Existing folder for what does not fit. Default: that of the system. */
  readonly spillFolder?: string;
  /** Bytes that the engine may spill. Default: what the disk has, less a tenth. */
  readonly spillBytesMax?: number;
  /**
   * Keeps what is finished in `<out>.parts` until the set is written, and goes on from there where an earlier run of the
   * same work was ended.
   */
  readonly resume?: boolean;
}

export function engineSettings({ memoryBytes, spillFolder, spillBytesMax }: TrainLimits): EngineSettings {
  return {
    ...(memoryBytes === undefined ? {} : { memoryBytes: Math.ceil(memoryBytes / 2) }),
    ...(spillFolder === undefined ? {} : { spillFolder }),
    ...(spillBytesMax === undefined ? {} : { spillBytesMax }),
  };
}

/** Whether a set of so many rows is held in memory. */
export function isHeld({ memoryBytes, resume }: TrainLimits, plan: TrainingPlan, rowCount: number): boolean {
  const heldMax = memoryBytes === undefined ? HELD_BYTES_MAX : memoryBytes / 4;
  return resume !== true && rowCount * bytesARow(plan) <= heldMax;
}

/** Two at once would take each other's parts for their own. */
const PARTS_FOLDER: LockedFolder = {
  name: "the parts of this training set",
  hint: "wait for that process, or give another --out",
};

/**
 * Lends `use` the parts of a set that is not held. They stay where it throws and the set is to be resumed. Throws
 * `STORAGE_LOCKED` where another is at work on them.
 */
export async function withParts<T>(
  engine: QueryEngine,
  { resume = false, spillFolder }: TrainLimits,
  rowCount: number,
  out: string,
  work: object,
  use: (parts: FeatureParts) => Promise<T>,
): Promise<T> {
  const folder = resume ? `${resolve(out)}.parts` : await mkdtemp(join(spillFolder ?? tmpdir(), "onefold-parts-"));
  let lock: FolderLock | null = null;
  let isDone = false;
  try {
    if (resume) lock = await lockParts(folder);
    const result = await use(await FeatureParts.open(engine, folder, rowCount, work));
    isDone = true;
    return result;
  } finally {
    if (!resume) await rm(folder, { recursive: true, force: true });
    else if (isDone) await FeatureParts.empty(folder);
    await lock?.release();
    // Left where another has just taken it.
    if (isDone) await rmdir(folder).catch(() => undefined);
  }
}

async function lockParts(folder: string): Promise<FolderLock> {
  try {
    return await lockFolder(folder, PARTS_FOLDER);
  } catch (cause) {
    if (isOnefoldError(cause)) throw cause;
    throw new OnefoldError(storageCode(cause), "the parts of the training set cannot be kept", {
      where: folder,
      cause,
    });
  }
}

/** All that the parts of a set depend on, besides the code: what is made of other things is not gone on with. */
export function workOf(
  plan: TrainingPlan,
  spine: Spine,
  snapshots: ReadonlyMap<string, LogSnapshot>,
  choices: readonly string[],
): object {
  const views = plan.views.map(({ name, view, features, entityIndex }) => {
    const { files } = snapshots.get(view.source.name)!;
    const paths = filesBehind(files, view.definition.key).map(({ path }) => path);
    const wanted = features.map(({ feature, input }) => [feature, input]);
    return [name, view.fingerprint, wanted, spine.keyColumns[entityIndex], files.epoch, files.liveEnd, paths];
  });
  return { views, spine: [spine.sha256, spine.timeColumn], choices };
}

function bytesARow({ views, services }: TrainingPlan): number {
  const inputs = views.flatMap(({ features }) => features.map(({ type }) => type));
  const computed = services.flatMap(({ program }) => (program.isPlain ? [] : program.outputs.map(({ type }) => type)));
  const bytesOf = (type: ValueType): number => (holdsNumbers(type) ? NUMBER_BYTES : OBJECT_BYTES);
  return [...inputs, ...computed].reduce((sum, type) => sum + bytesOf(type), 0);
}
