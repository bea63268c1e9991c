/**
 * A table of events whose source had columns widened: its files are written anew with the wider types, in one commit with
 * the new schema. A whole number and a float64 are other bytes in Parquet, and readers take a file's columns to be of the
 * table's types; so at no version of the table does a file have the one where the schema says the other.
 *
 * Whoever owns the table does it, before it adds files of the wider types. Until then all that read through the definitions
 * read the numbers as what they are declared.
 */
import { type Column, sameType, widens } from "../schema/value.ts";
import { type QueryEngine, sqlType } from "./engine.ts";
import type { OfflineTable, TableSnapshot } from "./offline-store.ts";
import { byPlace, kindOfTable } from "./table-kinds.ts";
import { rewriteFiles } from "./table-rewrite.ts";

const OPERATION = "WIDEN COLUMNS";

/** `declared`: what the source says its columns are. Throws `TABLE_CONFLICT`, and what the engine throws. */
export async function widenTable(table: OfflineTable, engine: QueryEngine, declared: readonly Column[]): Promise<void> {
  const columns = widenedColumns(await table.snapshot(), declared);
  if (columns === null) return;
  const { files, schema } = await table.snapshot();
  const isOtherInFiles = columns.some(({ type }, i) => sqlType(type) !== sqlType(schema.columns[i]!.type));
  if (files.length === 0 || !isOtherInFiles) {
    await table.commit({ operation: OPERATION, add: [], columns });
    return;
  }
  await rewriteFiles(table, engine, {
    operation: OPERATION,
    columns,
    // Any file that comes meanwhile is of the narrower types.
    hangsOn: () => true,
    dataChange: false,
    async plan(snapshot) {
      if (widenedColumns(snapshot, declared) === null) return [];
      const kind = kindOfTable({ ...snapshot.schema, columns });
      return kind === null
        ? []
        : snapshot.files.toSorted(byPlace).map((file) => ({ files: [file], select: kind.select([file]) }));
    },
  });
}

/** What the table's columns become; null where they are what they should be. */
function widenedColumns({ schema }: TableSnapshot, declared: readonly Column[]): Column[] | null {
  const columns = schema.columns.map((column) => {
    const wanted = declared.find(({ name }) => name === column.name);
    const isWider = wanted !== undefined && !sameType(column.type, wanted.type) && widens(column.type, wanted.type);
    return isWider ? { ...column, type: wanted.type } : column;
  });
  return columns.some((column, i) => column !== schema.columns[i]) ? columns : null;
}
