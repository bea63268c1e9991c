/**
 * Columns that a source declares, that its files do not have, and that folders below its location are named after, as Hive lays
 * partitions out: `day=2026-03-01/part-0.parquet`. A column that a file has is the file's, whatever its folders are called.
 */
import { dirname, relative, resolve, sep } from "node:path";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import { type QueryEngine, sqlName, sqlText, sqlType } from "../../offline-store/engine.ts";
import { namesOf } from "../../schema/value.ts";

/** In which the reader tells the file of a row. */
const FILE_COLUMN = "_onefold_file";
/** What Hive calls the folder of rows without a value. */
const NO_VALUE = "__HIVE_DEFAULT_PARTITION__";

/** The folder of the location before what a pattern may fill in; of a table, its own. */
export function fixedFolder({ format, location }: Pick<BatchSourceDefinition, "format" | "location">): string {
  const path = resolve(location);
  if (format === "delta") return path;
  const wild = path.search(/[*?[]/);
  return dirname(wild === -1 ? path : `${path.slice(0, wild)}x`);
}

/** The rows of the files, with what their folders are named after. `read` makes a relation of them, by a reader with more options. */
export async function withPathColumns(
  engine: QueryEngine,
  source: BatchSourceDefinition,
  paths: readonly string[],
  read: (...options: readonly string[]) => string,
): Promise<string> {
  const root = fixedFolder(source);
  const named = new Set(paths.flatMap((path) => foldersOf(relative(root, path))));
  if (named.size === 0) return read();
  const described = await engine.rows(`DESCRIBE SELECT * FROM ${read()}`);
  const there = new Set(described.map((column) => String(column["column_name"])));
  const lacking = source.columns.flatMap((column) => {
    const names = namesOf(column);
    const name = names.some((one) => there.has(one)) ? undefined : names.find((one) => named.has(one));
    return name === undefined ? [] : [{ name, type: source.format === "csv" ? "VARCHAR" : sqlType(column.type) }];
  });
  if (lacking.length === 0) return read();
  // Counted from 1, as the engine does.
  const belowRoot = root.length + (root.endsWith(sep) ? 1 : 2);
  const columns = lacking.map(({ name, type }) => {
    const folder = sqlText(`(?:^|/)${escaped(encodeURIComponent(name))}=([^/]*)/`);
    const text = `nullif(regexp_extract(substr(${FILE_COLUMN}, ${belowRoot}), ${folder}, 1), '')`;
    return `CAST(nullif(url_decode(${text}), ${sqlText(NO_VALUE)}) AS ${type}) AS ${sqlName(name)}`;
  });
  return `(SELECT * EXCLUDE (${FILE_COLUMN}), ${columns.join(", ")} FROM ${read(`filename = ${sqlText(FILE_COLUMN)}`)})`;
}

/** The names in `a=1/b=2/part.parquet`. */
function foldersOf(path: string): string[] {
  return dirname(path)
    .split(sep)
    .flatMap((folder) => {
      const [, name] = /^([^=]+)=/.exec(folder) ?? [];
      return name === undefined ? [] : [decoded(name)];
    });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
