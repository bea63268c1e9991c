/**
 * Files of an event table that another engine has written: what they are of (history or live, which epoch, up to where)
 * stands in tags that other engines do not keep.
 */
import { OnefoldError } from "../base/errors.ts";
import type { OfflineTable, TableFile } from "./offline-store.ts";

/** Whether the platform wrote it: every file of events says of which segment it is. */
export function isOwnFile({ tags }: Pick<TableFile, "tags">): boolean {
  return tags["segment"] !== undefined;
}

/** The newest ones of an event table. Throws as `refuseForeignFiles`. */
export async function ownFiles(table: Pick<OfflineTable, "folder" | "snapshot">): Promise<readonly TableFile[]> {
  const { files } = await table.snapshot();
  refuseForeignFiles(files, table.folder);
  return files;
}

/** Throws `TABLE_INVALID` where there is one: left out, its events would be missing from all that is read. */
export function refuseForeignFiles(files: readonly TableFile[], folder: string): void {
  const error = foreignFilesError(files, folder);
  if (error !== null) throw error;
}

/** `TABLE_INVALID` where there is one, or null. */
export function foreignFilesError(files: readonly TableFile[], folder: string): OnefoldError | null {
  const foreign = files.filter((file) => !isOwnFile(file));
  if (foreign.length === 0) return null;
  const count = foreign.length === 1 ? "a file" : `${foreign.length} files`;
  return new OnefoldError("TABLE_INVALID", `an event table has ${count} that another engine has written`, {
    where: foreign[0]!.path,
    hint: `other engines may read event tables, and not write, optimize or vacuum them; onefold tables history shows which version it was, and DeltaTable("${folder}").restore(VERSION) of Python's deltalake brings back the one before`,
  });
}
