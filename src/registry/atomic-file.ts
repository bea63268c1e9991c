/**
 * A file that is replaced, or created, whole or not at all.
 *
 * The new text is written beside it and synced, then renamed over it (or linked to its name, which fails where
 * there is one), then the folder is synced. A crash before the rename leaves the old file; after it, the new
 * one; in between there is nothing.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { storageCode } from "../base/disk-full.ts";
import { OnefoldError } from "../base/errors.ts";
import { syncPath } from "../base/sync-path.ts";

/** Where the new text stands until it is renamed; left over by a crash, it is overwritten by the next write. */
export function pendingPath(file: string): string {
  return join(dirname(file), `.${basename(file)}.pending`);
}

/** Durable once it resolves. One writer at a time. Throws `STORAGE_FAILED`, with the old file untouched. */
export function replaceFile(file: string, text: string): Promise<void> {
  const pending = pendingPath(file);
  return writing(file, pending, async () => {
    await writeSynced(pending, text);
    await rename(pending, file);
  });
}

/** Durable once it resolves; false, and nothing done, where there is a file of the name. Throws `STORAGE_FAILED`. */
export async function createFile(file: string, text: string): Promise<boolean> {
  // A name of its own: of two writers at once, one creates the file.
  const pending = join(dirname(file), `.${basename(file)}.${randomUUID()}.pending`);
  let created = true;
  await writing(file, pending, async () => {
    await writeSynced(pending, text);
    await link(pending, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
      created = false;
    });
    await rm(pending);
  });
  return created;
}

async function writing(file: string, pending: string, work: () => Promise<void>): Promise<void> {
  try {
    const firstMade = await mkdir(dirname(file), { recursive: true });
    await work();
    await syncPath(dirname(file));
    if (firstMade !== undefined) await syncPath(dirname(firstMade));
  } catch (cause) {
    await rm(pending, { force: true }).catch(() => undefined);
    throw new OnefoldError(storageCode(cause), `cannot write ${file}: ${(cause as Error).message}`, {
      where: file,
      cause,
    });
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, "w");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
