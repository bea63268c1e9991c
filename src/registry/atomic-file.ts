/**
 * A file that is replaced whole or not at all.
 *
 * The new text is written beside it and synced, then renamed over it, then the folder is synced. A crash
 * before the rename leaves the old file; after it, the new one; in between there is nothing.
 */
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { OnefoldError } from "../base/errors.ts";

/** Where the new text stands until it is renamed; left over by a crash, it is overwritten by the next write. */
export function pendingPath(file: string): string {
  return join(dirname(file), `.${basename(file)}.pending`);
}

/** Durable once it resolves. One writer at a time. Throws `STORAGE_FAILED`, with the old file untouched. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const pending = pendingPath(file);
  try {
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(pending, "w");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(pending, file);
    const folder = await open(dirname(file), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    await rm(pending, { force: true }).catch(() => undefined);
    throw new OnefoldError("STORAGE_FAILED", `cannot write ${file}: ${(cause as Error).message}`, {
      where: file,
      cause,
    });
  }
}
