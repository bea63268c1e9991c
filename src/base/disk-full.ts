/**
 * Whether something failed because there is no room: on the disk, in a quota, or under a limit of the process. Nothing
 * is broken then, and what failed may be tried again once there is.
 */
const CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
/** LMDB and DuckDB pass on the system's words alone; the last are DuckDB's for a write that the system cut short. */
const WORDS = /no space left on device|disk quota exceeded|file too large|could not write all bytes/i;

/** Never throws, whatever users' code may have thrown. */
export function isDiskFull(thrown: unknown): boolean {
  try {
    for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth++) {
      if (CODES.has((error as NodeJS.ErrnoException).code) || WORDS.test(error.message)) return true;
    }
  } catch {
    // What cannot even be looked at is not the system's.
  }
  return false;
}

/** The code of the error that a failed write becomes. */
export function storageCode(thrown: unknown): "DISK_FULL" | "STORAGE_FAILED" {
  return isDiskFull(thrown) ? "DISK_FULL" : "STORAGE_FAILED";
}
