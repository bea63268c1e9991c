/** A file's content, or a folder's entries, once they are on disk. */
import { open } from "node:fs/promises";

export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
