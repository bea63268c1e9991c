/**
 * Where tables lie, as they see it: few operations, each atomic or harmless when cut short. A folder on disk is one
 * implementation; one that fails at a chosen moment another; an object store with conditional puts can be a third, whose
 * `publish` uploads what the engine has written here. The engine reads files by the paths that it is given.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, link, mkdir, open, readFile, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SharedRuns } from "../base/shared-runs.ts";
import { syncPath } from "../base/sync-path.ts";

/** A file as the storage lists it. */
export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was last written, by the storage's clock. */
  readonly writtenMillis: number;
}

export interface TableStorage {
  /** Operations that have nothing to do with each other and may be under way at once. Default: one. */
  readonly atOnceMax?: number;
  /** Names in a folder, unsorted; empty where it does not exist. */
  list(folder: string): Promise<string[]>;
  /** All files in a folder and the folders in it, unsorted; empty where it does not exist. */
  files(folder: string): Promise<StoredFile[]>;
  /** Null where the file does not exist. */
  read(path: string): Promise<string | null>;
  /** Creates the file with this content, durably, or returns false where one of the name exists. */
  putIfAbsent(path: string, text: string): Promise<boolean>;
  /** Creates or replaces the file, durably and at once. `writtenMillis`: when it is to have been written. */
  replace(path: string, text: string, writtenMillis?: number): Promise<void>;
  /** Makes a file that another component wrote durable, and gives it its name. The two may be equal. */
  publish(written: string, path: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeFolder(folder: string): Promise<void>;
  /** When the file was last written, by the storage's clock; null where it does not exist. */
  writtenMillis(path: string): Promise<number | null>;
  /** The time by that clock, which need not be this process's: that of a file written into the folder just now. */
  clockMillis(folder: string): Promise<number>;
}

/**
 * Temporary names begin with a dot: no reader of the format takes them for a part of the table. Whoever cleans up may remove
 * one at any time: it is then written again.
 */
export const diskTableStorage: TableStorage = {
  // Most of each is waiting for a disk, which syncs many files as fast as one.
  atOnceMax: 16,
  async list(folder) {
    return (await orNull(readdir(folder))) ?? [];
  },
  async files(folder) {
    const entries = (await orNull(readdir(folder, { withFileTypes: true, recursive: true }))) ?? [];
    const files: StoredFile[] = [];
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      // One that is gone by now is none.
      const found = await orNull(stat(path));
      if (found !== null) files.push({ path, bytes: found.size, writtenMillis: found.mtimeMs });
    }
    return files;
  },
  async read(path) {
    return orNull(readFile(path, "utf8"));
  },
  async putIfAbsent(path, text) {
    const isLinked = await throughTemporary(path, text, async (temporary) => {
      try {
        await link(temporary, path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
        throw error;
      } finally {
        await rm(temporary, { force: true });
      }
    });
    if (isLinked) await syncFolder(dirname(path));
    return isLinked;
  },
  async replace(path, text, writtenMillis) {
    await throughTemporary(path, text, async (temporary) => {
      if (writtenMillis !== undefined) await utimes(temporary, writtenMillis / 1000, writtenMillis / 1000);
      await rename(temporary, path);
    });
    await syncFolder(dirname(path));
  },
  async publish(written, path) {
    await syncPath(written);
    if (written !== path) await rename(written, path);
    await syncFolder(dirname(path));
    // The folder of a partition may be as new as the file in it.
    await syncFolder(dirname(dirname(path)));
  },
  async remove(path) {
    await rm(path, { force: true });
  },
  async makeFolder(folder) {
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined) await syncFolder(dirname(first));
  },
  async writtenMillis(path) {
    return (await orNull(stat(path)))?.mtimeMs ?? null;
  },
  async clockMillis(folder) {
    return throughTemporary(join(folder, "now"), "", async (temporary) => {
      const { mtimeMs } = await stat(temporary);
      await rm(temporary, { force: true });
      return mtimeMs;
    });
  },
};

/** So many times in a row nobody cleans up. */
const ATTEMPTS = 5;

/** What `work` does with a temporary file beside `path`; again where the file was removed before that was done. */
async function throughTemporary<T>(path: string, text: string, work: (temporary: string) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const temporary = await writeTemporary(path, text);
    try {
      return await work(temporary);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === ATTEMPTS) throw error;
    }
  }
}

async function writeTemporary(path: string, text: string): Promise<string> {
  const temporary = `${dirname(path)}/.${randomUUID()}.tmp`;
  try {
    await withHandle(temporary, "wx", async (handle) => {
      await handle.writeFile(text);
      await handle.sync();
    });
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return temporary;
}

const folderSyncs = new Map<string, SharedRuns>();

/** Syncs a folder's entries: what was in it before the call. One sync does for all who have come until it begins. */
async function syncFolder(folder: string): Promise<void> {
  const syncs = folderSyncs.get(folder) ?? new SharedRuns(() => syncPath(folder));
  folderSyncs.set(folder, syncs);
  try {
    await syncs.run();
  } finally {
    if (syncs.isIdle) folderSyncs.delete(folder);
  }
}

async function withHandle(path: string, flags: string, work: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(path, flags);
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}

async function orNull<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
