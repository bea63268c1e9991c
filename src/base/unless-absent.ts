/** A file or folder that may not be there, apart from one that cannot be read: that must not pass for an empty one. */
import { OnefoldError } from "./errors.ts";

/** Null where it is not there. Throws `STORAGE_FAILED` where it cannot be looked at. */
export async function unlessAbsent<T>(path: string, work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new OnefoldError("STORAGE_FAILED", `cannot read ${path}: ${(cause as Error).message}`, {
      where: path,
      cause,
    });
  }
}
