/**
 * One process owns a folder: a file `lock` in it names that process.
 *
 * The file is made by linking a finished temporary file into place, so it is never seen half-written and
 * only one of two contenders succeeds. A dead owner's file may be replaced only by the holder of the right
 * to do so, `lock.after-<the dead owner's token>`, a file taken in the very same way; it looks again, once it
 * has the right, that the dead owner's file is still there, and nobody else can replace it then.
 *
 * A process is known by its id and, where the system tells, by when it started, so that a reused id
 * (process 1 of a restarted container) does not keep the folder locked.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "./errors.ts";

export interface FolderLock {
  release(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  /** Start time in the system's own unit; null where it cannot be told. */
  readonly started: string | null;
  readonly token: string;
}

const ATTEMPTS_MAX = 20;

/** What whoever is refused is told. */
export interface LockedFolder {
  /** As in "process 7 owns this data folder". */
  readonly name: string;
  readonly hint: string;
}

export const DATA_FOLDER: LockedFolder = {
  name: "this data folder",
  hint: "stop that process, send it requests instead, or use another --data folder",
};

/** Takes the folder, making it if it is not there. Throws `STORAGE_LOCKED`, naming the owner's process id. */
export async function lockFolder(folder: string, kind: LockedFolder = DATA_FOLDER): Promise<FolderLock> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "lock");
  const owner: Owner = { pid: process.pid, started: await processStart(process.pid), token: randomUUID() };
  const draft = `${path}.${owner.token}`;
  await writeFile(draft, `${JSON.stringify(owner)}\n`, { flush: true });
  try {
    await take(folder, path, draft, kind);
    return { release: () => release(path, owner.token) };
  } finally {
    await rm(draft, { force: true });
  }
}

/** Makes `path` a link to `draft`, in place of a dead owner's file if need be. Throws `STORAGE_LOCKED`. */
async function take(folder: string, path: string, draft: string, kind: LockedFolder): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (await linked(draft, path)) return;
    const holder = await readOwner(path);
    if (holder === "gone") continue;
    if (holder !== null && (await isAlive(holder))) throw locked(folder, holder.pid, kind);
    const right = `${path}.after-${tokenOf(holder)}`;
    await take(folder, right, draft, kind);
    try {
      const present = await readOwner(path);
      if (present === "gone" || tokenOf(present) !== tokenOf(holder)) continue;
      const copy = `${draft}.${randomUUID()}`;
      await link(draft, copy);
      await rename(copy, path);
      return;
    } finally {
      await rm(right, { force: true });
    }
  }
  throw locked(folder, null, kind);
}

function tokenOf(owner: Owner | null): string {
  return owner === null ? "damage" : owner.token;
}

async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Null for a file that does not name an owner. */
async function readOwner(path: string): Promise<Owner | null | "gone"> {
  try {
    const parsed = JSON.parse(await readFile(path, "utf8")) as Partial<Owner> | null;
    return typeof parsed?.pid === "number" && typeof parsed.token === "string" ? (parsed as Owner) : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "gone" : null;
  }
}

async function release(path: string, token: string): Promise<void> {
  const holder = await readOwner(path);
  if (holder !== null && holder !== "gone" && holder.token === token) await rm(path, { force: true });
}

async function isAlive(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return owner.started === null || owner.started === (await processStart(owner.pid));
}

/** Boot and start tick of a process, where /proc tells: the 22nd field of its stat, counted behind the name. */
async function processStart(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    return `${boot} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null;
  }
}

function locked(folder: string, pid: number | null, { name, hint }: LockedFolder): OnefoldError {
  const who = pid === null ? "another process" : `process ${pid}`;
  return new OnefoldError("STORAGE_LOCKED", `${who} owns ${name}`, { where: folder, hint });
}
