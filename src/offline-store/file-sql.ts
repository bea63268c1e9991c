/**
 * How files are named to the engine. Each is meant by its own name, none of whose characters is a pattern, and has the columns that
 * stand in it: what a folder above it is called (`day=2026-03-01`) puts none in their place.
 */
import { stat } from "node:fs/promises";
import { type QueryEngine, sqlText } from "./engine.ts";

/** As an argument of a reader. */
export function fileSql(path: string): string {
  return sqlText(path.replaceAll(/[[*?]/g, "[$&]"));
}

/** The name in what was made by `fileSql`, without its quotes. */
export function fileOfSql(text: string): string {
  return text.replaceAll("''", "'").replaceAll(/\[([[*?])\]/g, "$1");
}

/** The rows of files of Parquet as a relation. */
export function parquetSql(paths: string | readonly string[], ...options: readonly string[]): string {
  const files = typeof paths === "string" ? fileSql(paths) : `[${paths.map(fileSql).join(", ")}]`;
  return `read_parquet(${[files, "hive_partitioning = false", ...options].join(", ")})`;
}

/** The files that a path or a pattern names, in the order of their names. A file of that very name is meant, not what it matches. */
export async function filesAt(engine: QueryEngine, pattern: string): Promise<string[]> {
  const isFile = await stat(pattern).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile) return [pattern];
  const rows = await engine.rows(`SELECT file FROM glob(${sqlText(pattern)}) ORDER BY file`);
  return rows.map((row) => String(row["file"]));
}
