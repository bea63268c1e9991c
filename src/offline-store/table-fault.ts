/**
 * A file that is not there any more, told apart: one of a table, which vacuum has removed while it was read, from one that
 * was named wrongly.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { fileOfSql } from "./file-sql.ts";

/** The engine's words for it, with the path. */
const GONE = /(?:Cannot open file|No files found that match the pattern) "([^"]+)"/;

/** Null where the message says something else, or the file is no table's. */
export function goneFromTable(message: string, cause: unknown): OnefoldError | null {
  const named = GONE.exec(message)?.[1];
  if (named === undefined) return null;
  const path = fileOfSql(named);
  if (existsSync(path)) return null;
  // A table's files lie in its folder, or in one of a partition in it.
  const table = [dirname(path), dirname(dirname(path))].find((folder) => existsSync(join(folder, "_delta_log")));
  if (table === undefined) return null;
  return new OnefoldError("TABLE_VERSION_GONE", "a file of a table was removed while the table was read", {
    where: path,
    hint: "read it again: the newest version is whole. Vacuum keeps what left the table for a day at least, unless forced",
    cause,
  });
}
