/**
 * An event table whose files are of an older version than its log says: another engine that restores an older version brings
 * its files back, and leaves what the log says of them (Delta's `txn`) as it was.
 *
 *     log says       archived up to 30, history of epoch 1
 *     files hold     live 0..20, history of epoch 0         events 20..29 would be missing for good, and all history
 *
 * A whole folder put back from a copy is none: its log is older, too, and what came since is archived again.
 */
import { OnefoldError } from "../base/errors.ts";
import type { TableFile, TableSnapshot } from "./offline-store.ts";

/** The last live offset archived. */
export const LIVE_TXN = "partition-0";
/** The number of the present epoch. */
export const EPOCH_TXN = "epoch";

/** `TABLE_INVALID` where the files of an event table lack what its log says they hold, or null. */
export function olderFilesError(
  { files, txns }: Pick<TableSnapshot, "files" | "txns">,
  folder: string,
): OnefoldError | null {
  const liveEnd = (txns.get(LIVE_TXN) ?? -1) + 1;
  const filesEnd = endOfLive(files);
  if (filesEnd !== null && filesEnd < liveEnd)
    return olderFiles(`its log says that events up to ${liveEnd} are in it, and its files end at ${filesEnd}`, folder);
  const epoch = txns.get(EPOCH_TXN) ?? 0;
  const other = files.find(({ tags }) => tags["segment"] === "history" && Number(tags["epoch"]) !== epoch);
  if (other === undefined) return null;
  return olderFiles(
    `its log says that its history is that of epoch ${epoch}, and it has a file of epoch ${other.tags["epoch"]}`,
    folder,
  );
}

/**
 * Offset behind the last live event that the files were written with, forgotten ones too; null where that is not known, as an
 * earlier version wrote the last of them.
 */
function endOfLive(files: readonly TableFile[]): number | null {
  let last: TableFile | null = null;
  for (const file of files) {
    if (file.tags["segment"] !== "live") continue;
    if (last === null || Number(file.tags["firstOffset"]) > Number(last.tags["firstOffset"])) last = file;
  }
  if (last === null) return 0;
  const { tags, stats } = last;
  if (tags["endOffset"] === undefined) return null;
  const lastOffset = stats?.maxValues?.["_offset"];
  return Math.max(Number(tags["endOffset"]), typeof lastOffset === "number" ? lastOffset + 1 : 0);
}

function olderFiles(what: string, folder: string): OnefoldError {
  return new OnefoldError("TABLE_INVALID", `an event table was restored to a version that is too old: ${what}`, {
    where: folder,
    hint: `onefold tables history shows its versions: DeltaTable("${folder}").restore(VERSION) of Python's deltalake brings back the one before it was restored; or put the table's whole folder back from a copy, _delta_log too`,
  });
}
