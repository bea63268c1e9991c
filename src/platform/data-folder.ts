/** What can be told of a data folder from the files in it. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";

export { type BatchRun, NEVER_READ, readBatchState } from "../ingest/batch/batch-state.ts";
export { type PollStatus, readPollStatus } from "../ingest/http-poll/poll-status.ts";

/** Size of the online store on disk; null before the first write. */
export async function onlineStoreBytes(dataDir: string): Promise<number | null> {
  const found = await stat(join(dataDir, "online", "data.mdb")).catch(() => null);
  // Blocks, not the length: the file may have holes.
  return found === null ? null : found.blocks * 512;
}

/** What each store of the folder takes on disk, by its name; looked at once a minute, as there may be many files. */
export async function storeBytes(dataDir: string): Promise<readonly (readonly [store: string, bytes: number])[]> {
  const known = sizes.get(dataDir);
  if (known !== undefined && performance.now() - known.atMs < SIZES_KEPT_MS) return known.bytes;
  const bytes = await Promise.all(
    STORES.map(async (store) => [store, await folderBytes(join(dataDir, store))] as const),
  );
  sizes.set(dataDir, { atMs: performance.now(), bytes });
  return bytes;
}

const STORES = ["log", "online", "offline", "serving-log", "dead-letters", "training-sets", "monitor"] as const;
const SIZES_KEPT_MS = 60_000;
const sizes = new Map<string, { readonly atMs: number; readonly bytes: readonly (readonly [string, number])[] }>();

/** Of all files below it; of those that go meanwhile, nothing. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => null);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}

/** A folder in which nothing was ever registered is taken for a mistyped one. Throws `DATA_FOLDER_MISSING`. */
export function refuseMissing(dataDir: string): void {
  const registries = ["registry", "registry-copy"].map((folder) => join(dataDir, folder, "registry.json"));
  if (registries.some((file) => existsSync(file))) return;
  throw new OnefoldError("DATA_FOLDER_MISSING", `there is no data folder ${resolve(dataDir)}`, {
    where: dataDir,
    hint: "check the path; onefold apply creates a data folder and registers definitions in it",
  });
}
