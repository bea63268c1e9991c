/**
 * What a mark of forgotten events does to the views of a partition: the entities that have some of these events are folded
 * anew from the offline table, without them; one that has no others is gone.
 *
 * The table has the rows until nobody can read the records any more: so whoever folds them comes to the mark while the
 * table still says whose they are.
 */
import type { ViewState } from "../../fold/view-fold.ts";
import { keyFromStored } from "../../fold/derive.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { EventFiles } from "../../offline-store/event-archive.ts";
import { withKeyedEvents } from "../../offline-store/event-reader.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { RefoldedRun } from "../correction-run.ts";
import { foldEntities } from "../entity-fold.ts";
import type { PartitionRun, RefoldedViews } from "./folded-partition.ts";
import type { RoutedView } from "./routes.ts";

export async function forgetViews(
  engine: QueryEngine,
  files: EventFiles,
  { route: { source, views }, partition, run }: PartitionRun,
  gone: readonly number[],
): Promise<RefoldedViews> {
  const { offset, forgets } = run[0]!;
  const { offsets, own } = forgets!;
  const keysOf = async (view: RoutedView): Promise<EntityKey[]> => {
    if (offsets.length === 0) return [];
    const { key } = view.definition;
    const derivedKey = keyFromStored(source, key, view.fold);
    const asked = { files, source, keyColumns: key, derivedKey, beforeOffset: offset, partition, withRetracted: true };
    const rows = await withKeyedEvents(engine, asked, (relation) =>
      engine.rows(`SELECT DISTINCT _key AS key FROM ${relation} WHERE _offset IN (${offsets.join(", ")})`),
    );
    return rows.map((row) => String(row["key"]));
  };
  const withoutOffsets = [...new Set([...offsets, ...gone])];
  const refolded = new Map<string, RefoldedRun<ViewState>>();
  for (const view of views) {
    const keys = new Set(await keysOf(view));
    if (own !== null && own.entity === view.entity.name) keys.add(own.key);
    const asked = { engine, files, source, view, keys: [...keys], partition };
    const states = await foldEntities({ ...asked, beforeOffset: offset, withoutOffsets });
    refolded.set(view.foldName, { states, hit: new Map([[offset, [...keys]]]), takenBack: new Set(), forgets: true });
  }
  return refolded;
}
