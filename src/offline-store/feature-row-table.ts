/**
 * The feature rows of one view as a Delta table; each append carries its sequence as a txn.
 */
import { randomUUID } from "node:crypto";
import { formatViewName, type EntityDefinition, type ViewDefinition } from "../define/definition.ts";
import type { Column, Value } from "../schema/value.ts";
import { type FillBatch, type QueryEngine, sqlName } from "./engine.ts";
import { parquetSql } from "./file-sql.ts";
import type { FeatureRow, FeatureRowTable, PastFeatureRows } from "./feature-rows.ts";
import type { NewFile, OfflineStore, OfflineTable } from "./offline-store.ts";
import { writeParquetFiles } from "./parquet-file.ts";
import { batchOfRows } from "./row-batch.ts";
import { compactTable, FILES_WORTH_JOINING } from "./table-compaction.ts";
import { kindOfTable } from "./table-kinds.ts";

/** Joined files stay for readers that still have them in their lists. */
const COMPACTED_KEPT_MS = 24 * 3_600_000;

const SEQUENCE_TXN = "feature-rows";
const MATERIALIZED_TXN = "materialized";

/** Opens `features/<view>@<version>`, creating it where it is absent. Throws `TABLE_INVALID` for other columns. */
export async function openFeatureRowTable(
  store: OfflineStore,
  engine: QueryEngine,
  view: ViewDefinition,
  entity: EntityDefinition,
): Promise<FeatureRowTable & PastFeatureRows & { readonly table: OfflineTable }> {
  const kept = view.features.filter((feature) => feature.offline !== false);
  const keptValues = <T>(values: readonly T[]): T[] =>
    values.filter((_value, i) => view.features[i]!.offline !== false);
  const columns: Column[] = [
    ...entity.keys.map(({ name, type }): Column => ({ name, type, nullable: true })),
    { name: "_minute", type: { name: "timestamp" }, nullable: true },
    { name: "_epoch", type: { name: "int64" }, nullable: true },
    ...kept.map(({ name, type, description }): Column => ({
      name,
      type,
      nullable: true,
      ...(description === undefined ? {} : { description }),
    })),
  ];
  const rowOf = ({ key, minute, epoch, values }: FeatureRow): Value[] => [...key, minute, epoch, ...keptValues(values)];
  const table = await store.table(`features/${formatViewName(view)}`, {
    columns,
    partitionBy: { column: "_month", of: "_minute" },
  });
  const write = async (select: string, prefix: string): Promise<NewFile[]> => {
    const { partitionBy } = (await table.snapshot()).schema;
    const named = { prefix: `${prefix}-${randomUUID()}`, folder: table.folder, columns, partitionBy };
    return writeParquetFiles(engine, { ...named, select, tagsOf: () => ({}) });
  };
  const compact = async (): Promise<void> => {
    const { schema } = await table.snapshot();
    const { replaced } = await compactTable(table, engine, kindOfTable(schema)!, FILES_WORTH_JOINING);
    if (replaced.length > 0) await table.vacuum(COMPACTED_KEPT_MS, () => true);
  };
  const lastSequence = async (): Promise<number> => (await table.lastTxn(SEQUENCE_TXN)) ?? -1;
  return {
    table,
    lastSequence,
    async addMissing(rows: AsyncIterable<readonly FeatureRow[]>): Promise<number> {
      const loaded = `rows_${randomUUID()}`;
      const types = columns.map(({ type }) => type);
      async function* batches(): AsyncIterableIterator<FillBatch> {
        for await (const some of rows) yield batchOfRows(types, some.map(rowOf));
      }
      try {
        const before = (await table.lastTxn(MATERIALIZED_TXN)) ?? null;
        await engine.fill(loaded, columns, batches());
        const { files } = await table.snapshot();
        const same = [...entity.keys.map(({ name }) => name), "_minute", "_epoch"].map(sqlName).join(", ");
        const known =
          files.length === 0
            ? ""
            : `ANTI JOIN (SELECT ${same} FROM ${parquetSql(
                files.map(({ path }) => path),
                "union_by_name = true",
              )}) USING (${same})`;
        const select = `SELECT ${columns.map(({ name }) => `r.${sqlName(name)}`).join(", ")} FROM ${sqlName(loaded)} r ${known}`;
        const [counted] = await engine.rows(`SELECT count(*)::DOUBLE AS n FROM (${select})`);
        const count = Number(counted!["n"]);
        if (count === 0) return 0;
        const add = await write(select, "rows-past");
        const txn = [{ applicationId: MATERIALIZED_TXN, version: (before ?? -1) + 1, after: before }];
        await table.commit({ add, txn, operation: "MATERIALIZE" });
        return count;
      } finally {
        await engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
      }
    },
    async append(rows: Iterable<readonly FeatureRow[]>, sequence: number): Promise<void> {
      if (sequence <= (await lastSequence())) return;
      const loaded = `rows_${randomUUID()}`;
      const types = columns.map(({ type }) => type);
      let count = 0;
      function* batches(): IterableIterator<FillBatch> {
        for (const some of rows) {
          count += some.length;
          yield batchOfRows(types, some.map(rowOf));
        }
      }
      try {
        await engine.fill(loaded, columns, batches(), { inTurns: true });
        const name = `rows-${String(sequence).padStart(16, "0")}`;
        const add = count === 0 ? [] : await write(`SELECT * FROM ${sqlName(loaded)}`, name);
        const txn = [{ applicationId: SEQUENCE_TXN, version: sequence }];
        await table.commit({ add, txn, operation: "ADD FEATURE ROWS" });
      } finally {
        await engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
      }
      if (count === 0) return;
      // The rows are in the table whatever becomes of this: the next append tries again.
      await compact().catch(() => {});
    },
  };
}
