/**
 * Archived events whose files are deleted while they are read: what was forgotten goes from disk at once, what was joined
 * after a day. The newest version of the table is whole, so who reads begins again from there.
 */
import { isOnefoldError } from "../base/errors.ts";
import type { EventFiles } from "./event-archive.ts";

/** Whether a file was gone when it was read. */
export function isGone(error: unknown): boolean {
  return isOnefoldError(error) && error.code === "TABLE_VERSION_GONE";
}

/** What `read` makes of the newest files. Throws as it does, and `TABLE_VERSION_GONE` where the newest lack one, too. */
export async function readNewest<F extends EventFiles, T>(
  archive: { files(): Promise<F> },
  read: (files: F) => Promise<T>,
): Promise<T> {
  for (let files = await archive.files(); ;) {
    try {
      return await read(files);
    } catch (error) {
      if (!isGone(error)) throw error;
      files = await newerFiles(archive, files, error);
    }
  }
}

/** Files that are there in place of these, of which one is gone. Throws `why` where there are no others. */
export async function newerFiles<F extends EventFiles>(
  archive: { files(): Promise<F> },
  gone: F,
  why: unknown,
): Promise<F> {
  const newer = await archive.files();
  if (pathsOf(newer) === pathsOf(gone)) throw why;
  return newer;
}

function pathsOf({ history, live }: EventFiles): string {
  return JSON.stringify([...history, ...live].map(({ path }) => path));
}
