/** What can be told of a data folder from the files in it. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";

export { type BatchRun, readBatchState } from "../ingest/batch/batch-state.ts";
export { type PollStatus, readPollStatus } from "../ingest/http-poll/poll-status.ts";

/** Size of the online store on disk; null before the first write. */
export async function onlineStoreBytes(dataDir: string): Promise<number | null> {
  const found = await stat(join(dataDir, "online", "data.mdb")).catch(() => null);
  // Blocks, not the length: the file may have holes.
  return found === null ? null : found.blocks * 512;
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
