/**
 * The feature rows of one view as a Delta table; each append carries its sequence as a txn.
 */
import { randomUUID } from "node:crypto";
import { formatViewName, type EntityDefinition, type ViewDefinition } from "../define/definition.ts";
import type { Column, Value } from "../schema/value.ts";
import { type FillBatch, type QueryEngine, sqlName, sqlText } from "./engine.ts";
import type { FeatureRow, FeatureRowTable, PastFeatureRows } from "./feature-rows.ts";
import type { OfflineStore, OfflineTable } from "./offline-store.ts";
import { writeParquetFile } from "./parquet-file.ts";
import { batchOfRows } from "./row-batch.ts";

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
  const table = await store.table(`features/${formatViewName(view)}`, { columns });
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
            : `ANTI JOIN (SELECT ${same} FROM read_parquet([${files.map(({ path }) => sqlText(path)).join(", ")}],
                union_by_name = true)) USING (${same})`;
        const select = `SELECT ${columns.map(({ name }) => `r.${sqlName(name)}`).join(", ")} FROM ${sqlName(loaded)} r ${known}`;
        const [counted] = await engine.rows(`SELECT count(*)::DOUBLE AS n FROM (${select})`);
        const count = Number(counted!["n"]);
        if (count === 0) return 0;
        const file = await writeParquetFile(engine, {
          select,
          folder: table.folder,
          name: `rows-past-${randomUUID()}.parquet`,
          columns,
          tags: {},
        });
        const txn = [{ applicationId: MATERIALIZED_TXN, version: (before ?? -1) + 1, after: before }];
        await table.commit({ add: [file], txn, operation: "MATERIALIZE" });
        return count;
      } finally {
        await engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
      }
    },
    async append(rows: readonly FeatureRow[], sequence: number): Promise<void> {
      if (sequence <= (await lastSequence())) return;
      const txn = [{ applicationId: SEQUENCE_TXN, version: sequence }];
      if (rows.length === 0) {
        await table.commit({ add: [], txn, operation: "ADD FEATURE ROWS" });
        return;
      }
      const loaded = `rows_${randomUUID()}`;
      const batch = batchOfRows(
        columns.map(({ type }) => type),
        rows.map(rowOf),
      );
      try {
        await engine.fill(loaded, columns, [batch]);
        const file = await writeParquetFile(engine, {
          select: `SELECT * FROM ${sqlName(loaded)}`,
          folder: table.folder,
          name: `rows-${String(sequence).padStart(16, "0")}-${randomUUID()}.parquet`,
          columns,
          tags: {},
        });
        await table.commit({ add: [file], txn, operation: "ADD FEATURE ROWS" });
      } finally {
        await engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
      }
    },
  };
}
