/**
 * `LogStorage` on a real file system.
 */
import { type FileHandle, mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncPath } from "../base/sync-path.ts";
import type { LogFile, LogStorage } from "./storage.ts";

export const diskStorage: LogStorage = {
  async list(folder: string): Promise<string[]> {
    try {
      return (await readdir(folder)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  },

  async read(path: string, from: number = 0, length: number = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - from)));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await handle.close();
    }
  },

  async open(path: string): Promise<LogFile> {
    await makeFolder(dirname(path));
    return diskFile(await open(path, "a"));
  },

  async truncate(path: string, length: number): Promise<void> {
    const handle = await open(path, "r+");
    try {
      await handle.truncate(length);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  },

  syncFolder: syncPath,
};

function diskFile(handle: FileHandle): LogFile {
  return {
    async append(bytes: Uint8Array): Promise<void> {
      let written = 0;
      while (written < bytes.length) {
        written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
      }
    },
    sync(): Promise<void> {
      return handle.datasync();
    },
    close(): Promise<void> {
      return handle.close();
    },
  };
}

/** Makes a folder and its missing parents, and each of their entries durable. */
async function makeFolder(folder: string): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true });
  if (firstMade === undefined) return;
  for (let made = folder; ; made = dirname(made)) {
    await syncPath(dirname(made));
    if (join(made) === join(firstMade) || dirname(made) === made) return;
  }
}
