/**
 * A column that is named twice: by a label file, or for the parts of a key.
 *
 * Names count as equal whatever their case, as columns of tables do. Of two of one name the engine would call the second
 * one something else (`amount_1`), and whoever reads the training set would take one for the other.
 */
import { OnefoldError } from "../base/errors.ts";
import type { CsvHeader } from "../offline-store/csv-file.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import { fileSql } from "../offline-store/file-sql.ts";

export interface LabelFile {
  readonly path: string;
  readonly format: "parquet" | "csv" | "ndjson";
  /** Of a CSV file. */
  readonly header: CsvHeader | null;
  /** Of its columns, as the engine has them. */
  readonly names: readonly string[];
}

/** Throws `SPINE_INVALID`. */
export async function refuseRepeatedNames(engine: QueryEngine, file: LabelFile): Promise<void> {
  const twice = firstRepeated(await writtenNames(engine, file));
  if (twice !== null) throw repeated(file.path, twice);
}

async function writtenNames(engine: QueryEngine, { path, format, header, names }: LabelFile): Promise<string[]> {
  switch (format) {
    case "csv":
      // One without a name is called by its place.
      return header!.written.filter((name) => name !== "");
    case "parquet":
      return parquetNames(engine, path);
    case "ndjson":
      return differentInCase(engine, path, names);
  }
}

/** The schema is a tree, a parent before its children; the root's are the columns. */
async function parquetNames(engine: QueryEngine, path: string): Promise<string[]> {
  const fields = await engine.rows(
    `SELECT name, coalesce(num_children, 0)::INTEGER AS children FROM parquet_schema(${fileSql(path)})`,
  );
  const endOf = (field: number): number => {
    let next = field + 1;
    for (let child = 0; child < Number(fields[field]!["children"]); child++) next = endOf(next);
    return next;
  };
  const names: string[] = [];
  for (let field = 1; field < fields.length; field = endOf(field)) names.push(String(fields[field]!["name"]));
  return names;
}

/** A key that an object has twice the engine refuses; of two that differ in case it gives the second a number. */
async function differentInCase(engine: QueryEngine, path: string, names: readonly string[]): Promise<string[]> {
  const taken = new Set(names.map((name) => name.toLowerCase()));
  const hasNumber = names.some((name) => taken.has(/^(.*)_\d+$/.exec(name.toLowerCase())?.[1] ?? ""));
  // A column may be called so by itself, too.
  if (!hasNumber) return [];
  const rows = await engine.rows(
    `SELECT DISTINCT unnest(json_keys(json)) AS name FROM read_json_objects(${fileSql(path)}, hive_partitioning = false) ORDER BY name`,
  );
  return rows.map(({ name }) => String(name));
}

/** What the engine throws of an NDJSON file with an object that has a key twice, as `SPINE_INVALID`; null for other errors. */
export function repeatedInNdjson(path: string, { message }: OnefoldError): OnefoldError | null {
  const [, line, key] = /in line (\d+): .* has duplicate key "(.*?)"(?:\n|;|$)/.exec(message) ?? [];
  return key === undefined ? null : repeated(`${path}:${line}`, [key, key]);
}

/** `names` are the label columns that hold an entity's key. Throws `SPINE_INVALID`. */
export function refuseRepeatedKey(entity: string, names: readonly string[]): void {
  const twice = firstRepeated(names);
  if (twice === null) return;
  throw new OnefoldError(
    "SPINE_INVALID",
    `the label column ${twice[1]} is named twice, for the key of entity ${entity}`,
    {
      hint: "name another column for each part of the key: --key entity=column,column",
    },
  );
}

/** The first name that stands there before, and how it is written there. */
function firstRepeated(names: readonly string[]): readonly [before: string, again: string] | null {
  const seen = new Map<string, string>();
  for (const name of names) {
    const before = seen.get(name.toLowerCase());
    if (before !== undefined) return [before, name];
    seen.set(name.toLowerCase(), name);
  }
  return null;
}

function repeated(where: string, [before, again]: readonly [string, string]): OnefoldError {
  const what =
    before === again ? `two columns named ${again}` : `columns named ${before} and ${again}, which count as one name`;
  return new OnefoldError("SPINE_INVALID", `the label rows have ${what}`, {
    where,
    hint: "give one of them another name, or leave it out",
  });
}
