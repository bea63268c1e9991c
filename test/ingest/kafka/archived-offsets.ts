/** Which events of a folded topic are in its offline table, and which must be: each that counts, once. */
import { basename, dirname } from "node:path";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { type QueryEngine, sqlText } from "../../../src/offline-store/engine.ts";
import type { KafkaWorld } from "./kafka-world.ts";

/** `partition/offset` of each event of a topic that is no copy and has an id of its own, and of what corrects others. */
export async function acceptedOffsets(world: KafkaWorld, topic: string): Promise<string[]> {
  const partitions = await world.read(topic);
  return partitions.flatMap((records, partition) => {
    const ids = new Set<string>();
    const origins = new Set<string>();
    return records.flatMap(({ offset, value, headers }) => {
      const all = headers();
      if (all.has("onefold-corrects")) {
        const origin = all.get("onefold-origin")!.toString();
        if (origins.has(origin)) return [];
        origins.add(origin);
        return [`${partition}/${offset}`];
      }
      const { id } = JSON.parse(value!.toString()) as { readonly id: string };
      if (ids.has(id)) return [];
      ids.add(id);
      return [`${partition}/${offset}`];
    });
  });
}

/** The same of an offline table, as it stands. */
export async function archivedOffsets(engine: QueryEngine, table: string): Promise<string[]> {
  const tables = openOfflineStore(dirname(table), engine);
  const { files } = await (await tables.find(basename(table)))!.snapshot();
  const paths = files.map(({ path }) => sqlText(path)).join(", ");
  const rows = await engine.rows(
    `SELECT _partition::INT || '/' || _offset::INT AS place FROM read_parquet([${paths}]) ORDER BY _partition, _offset`,
  );
  return rows.map(({ place }) => place as string);
}
