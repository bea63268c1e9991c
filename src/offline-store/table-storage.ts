/**
 * Where tables lie, as they see it: few operations, each atomic or harmless when cut short. A folder on disk is one
 * implementation; one that fails at a chosen moment another; an object store with conditional puts can be a third, whose
 * `publish` uploads what the engine has written here. The engine reads files by the paths that it is given.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, link, mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file as the storage lists it. */
export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was last written, by the storage's clock. */
  readonly writtenMillis: number;
}

export interface TableStorage {
  /** Names in a folder, unsorted; empty where it does not exist. */
  list(folder: string): Promise<string[]>;
  /** All files in a folder and the folders in it, unsorted; empty where it does not exist. */
  files(folder: string): Promise<StoredFile[]>;
  /** Null where the file does not exist. */
  read(path: string): Promise<string | null>;
  /** Creates the file with this content, durably, or returns false where one of the name exists. */
  putIfAbsent(path: string, text: string): Promise<boolean>;
  /** Creates or replaces the file, durably and at once. */
  replace(path: string, text: string): Promise<void>;
  /** Makes a file that another component wrote durable, and gives it its name. The two may be equal. */
  publish(written: string, path: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeFolder(folder: string): Promise<void>;
}

/** Temporary names begin with a dot: no reader of the format takes them for a part of the table. */
export const diskTableStorage: TableStorage = {
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
    const temporary = await writeTemporary(path, text);
    try {
      await link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    await sync(dirname(path));
    return true;
  },
  async replace(path, text) {
    await rename(await writeTemporary(path, text), path);
    await sync(dirname(path));
  },
  async publish(written, path) {
    await sync(written);
    if (written !== path) await rename(written, path);
    await sync(dirname(path));
    // The folder of a partition may be as new as the file in it.
    await sync(dirname(dirname(path)));
  },
  async remove(path) {
    await rm(path, { force: true });
  },
  async makeFolder(folder) {
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined) await sync(dirname(first));
  },
};

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

/** Syncs a file's content, or a folder's entries. */
function sync(path: string): Promise<void> {
  return withHandle(path, "r", (handle) => handle.sync());
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
