/**
 * A folder on a disk that a test can fill and make room on.
 *
 * As root it is a file system of its own, in memory, filled by a file: `ENOSPC` as it comes in life. Without root it is
 * a folder like any other, and the process that writes is given a limit of one byte to any file: `EFBIG` at each write
 * past that, which is taken for the same. `ONEFOLD_SMALL_DISK=limit` has root take the second, too.
 */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface SmallDisk {
  readonly folder: string;
  /** `leaving` bytes of room, about, where the disk is one of its own; `pid` is who writes. */
  fill(pid: number, leaving?: number): Promise<void>;
  makeRoom(pid: number): Promise<void>;
  close(): Promise<void>;
}

export async function openSmallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-small-disk-"));
  const isLimit = process.getuid?.() !== 0 || process.env["ONEFOLD_SMALL_DISK"] === "limit";
  if (isLimit) return limited(folder);
  await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]);
  return mounted(folder);
}

function mounted(folder: string): SmallDisk {
  const ballast = join(folder, ".ballast");
  return {
    folder,
    async fill(_pid, leaving = 0) {
      const file = await open(ballast, "a");
      try {
        for (const chunk of [Buffer.alloc(65_536), Buffer.alloc(4096)]) await writeUntilFull(file, chunk);
        const { size } = await file.stat();
        await file.truncate(Math.max(0, size - leaving));
      } finally {
        await file.close();
      }
    },
    makeRoom: () => rm(ballast, { force: true }),
    async close() {
      await run("umount", [folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeUntilFull(file: Awaited<ReturnType<typeof open>>, chunk: Buffer): Promise<void> {
  for (;;) {
    try {
      const { bytesWritten } = await file.write(chunk);
      if (bytesWritten < chunk.length) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") return;
      throw error;
    }
  }
}

function limited(folder: string): SmallDisk {
  const limit = (pid: number, bytes: string): Promise<unknown> => run("prlimit", [`--pid=${pid}`, `--fsize=${bytes}:`]);
  return {
    folder,
    async fill(pid) {
      await limit(pid, "1");
    },
    async makeRoom(pid) {
      await limit(pid, "unlimited");
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
