/**
 * Whether there is room on the disk again, found out the only way that knows of quotas and limits: by writing.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Enough for a few flushes. */
const ROOM_BYTES = 4 * 1024 * 1024;

export async function hasRoom(folder: string): Promise<boolean> {
  const file = join(folder, ".room");
  try {
    await writeFile(file, Buffer.alloc(ROOM_BYTES), { flush: true });
    return true;
  } catch {
    return false;
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
