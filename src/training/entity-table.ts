/**
 * The engine's table of the entities a replay is restricted to: dense ids in the order of the keys given.
 */
import { sqlName, type QueryEngine } from "../offline-store/engine.ts";
import type { EntityKey } from "../schema/entity-key.ts";

/** Creates `table` (entity_id INTEGER, entity_key VARCHAR); `keys` are distinct, and key `i` gets id `i`. */
export async function createEntityTable(engine: QueryEngine, table: string, keys: readonly EntityKey[]): Promise<void> {
  const filled = `${table}_filled`;
  await engine.fill(
    filled,
    [
      { name: "entity_id", type: { name: "int64" } },
      { name: "entity_key", type: { name: "string" } },
    ],
    [{ rowCount: keys.length, columns: [Float64Array.from(keys.keys()), keys], validity: [null, null] }],
  );
  await engine.run(
    `CREATE OR REPLACE TABLE ${sqlName(table)} AS SELECT entity_id::INTEGER AS entity_id, entity_key FROM ${sqlName(filled)}`,
  );
  await engine.run(`DROP TABLE ${sqlName(filled)}`);
}
