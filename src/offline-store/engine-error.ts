/**
 * What the engine throws, as the platform's errors: by what its message says, as it has no codes.
 */
import { isDiskFull, storageCode } from "../base/disk-full.ts";
import { isOnefoldError, MAKE_ROOM, OnefoldError } from "../base/errors.ts";
import { goneFromTable } from "./table-fault.ts";
import { fileOfSql } from "./file-sql.ts";

const UNREADABLE_INPUT =
  /^IO Error|No files found|magic bytes|Parquet|parquet|TProtocolException|CSV Error|Error when sniffing|Malformed JSON|JSON transform error|not a valid|Invalid unicode|Snappy|ZSTD|unexpected end/i;

/** What the reader of Parquet says, among others, of bytes that mean nothing. */
const DAMAGED_INPUT = /^(Invalid|Serialization) Error/;
const PARQUET_READ = /read_parquet\(\[?'((?:[^']|'')+)'/;

/** What is wrong with a file and on which line, without the engine's advice on its own settings. */
function ownWords(message: string): string {
  const lines = message.split("\n").map((line) => line.trim());
  const advice = lines.findIndex((line) => /^(Possible|The search space|\* |LINE \d|file ?=|delimiter ?=)/i.test(line));
  const said = (advice < 0 ? lines : lines.slice(0, advice)).filter((line) => line !== "");
  return fileOfSql(said.join("; "))
    .replace(/^Invalid Input Error: |^Invalid Error: |^IO Error: /, "")
    .slice(0, 400);
}

/** The platform's error for what DuckDB threw; the statement goes along as `where`, cut to fit a line. */
export function engineError(error: unknown, sql: string): OnefoldError {
  if (isOnefoldError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const where = sql.length > 300 ? `${sql.slice(0, 300)}...` : sql;
  if (message.startsWith("INTERRUPT Error")) return new OnefoldError("CANCELLED", "the work was cancelled");
  if (/^Out of Memory Error|max_temp_directory_size|failed to offload/i.test(message)) {
    return new OnefoldError("SPILL_FULL", "the work does not fit into its memory and its folder for spilled data", {
      where: message.split("\n", 1)[0]!.slice(0, 300),
      hint: "give it more memory (--memory), or a folder on a disk with more room (--spill)",
      cause: error,
    });
  }
  if (isDiskFull(error) || /could not write/i.test(message)) {
    const code = storageCode(error);
    return new OnefoldError(code, message, {
      where,
      ...(code === "DISK_FULL" ? { hint: MAKE_ROOM } : {}),
      cause: error,
    });
  }
  const gone = goneFromTable(message, error);
  if (gone !== null) return gone;
  if (UNREADABLE_INPUT.test(message)) return new OnefoldError("FILE_UNREADABLE", ownWords(message), { cause: error });
  const read = PARQUET_READ.exec(sql);
  if (read !== null && DAMAGED_INPUT.test(message)) {
    return new OnefoldError("FILE_UNREADABLE", `the Parquet file is damaged: ${ownWords(message)}`, {
      // Of several files the engine does not say which.
      where: fileOfSql(read[1]!),
      hint: "write the file anew, or restore it from a copy",
      cause: error,
    });
  }
  return new OnefoldError("INTERNAL", message, { where, cause: error });
}
