/** A forgotten entity's rows in the offline tables of workers: found, told whose else they are, and taken out. */
import { eventFiles } from "../../ingest/kafka/refolding.ts";
import { placesOf } from "../../offline-store/archive-places.ts";
import { type QueryEngine, sqlText } from "../../offline-store/engine.ts";
import { withKeyedEvents } from "../../offline-store/event-reader.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import { ownFiles } from "../../offline-store/foreign-files.ts";
import type { OfflineTable } from "../../offline-store/offline-store.ts";
import { PARTITION } from "../../offline-store/partitioned-events.ts";
import { discardUnnamed, fileRelation, filesWith, rewriteFiles } from "../../offline-store/table-rewrite.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { SharingEntities } from "../forget/forget-shared.ts";
import type { ForgottenSource } from "./forgotten-source.ts";

/** Offsets by partition. */
export type Places = ReadonlyMap<number, ReadonlySet<number>>;

export interface EntityRow {
  readonly partition: number;
  readonly offset: number;
  readonly id: string | null;
}

/** Its events in a table, those that were taken back, too. */
export async function rowsOfEntity(
  engine: QueryEngine,
  table: OfflineTable,
  { source, own }: ForgottenSource,
  key: EntityKey,
): Promise<readonly EntityRow[]> {
  const files = eventFiles(await ownFiles(table));
  const found = new Map<string, EntityRow>();
  for (const { columns, derived } of own) {
    const asked = { files, source, keyColumns: columns, derivedKey: derived, withRetracted: true };
    const rows = await withKeyedEvents(engine, asked, (relation) =>
      engine.rows(`SELECT _partition::DOUBLE AS "partition", _offset::DOUBLE AS "offset", _id AS id
        FROM ${relation} WHERE _key = ${sqlText(key)}`),
    );
    for (const row of rows) {
      const [partition, offset] = [Number(row["partition"]), Number(row["offset"])];
      const id = row["id"] ?? null;
      found.set(`${partition}/${offset}`, { partition, offset, id: id === null ? null : String(id) });
    }
  }
  return [...found.values()];
}

/** Other entities of the views that the events are of, too. */
export async function sharingRows(
  engine: QueryEngine,
  table: OfflineTable,
  { source, all }: ForgottenSource,
  places: Places,
  forgotten: { readonly entity: string; readonly key: EntityKey },
): Promise<readonly SharingEntities[]> {
  const condition = atPlaces(places);
  if (condition === null) return [];
  const files = eventFiles(await ownFiles(table));
  const sharing: SharingEntities[] = [];
  for (const { entity, columns, derived } of all) {
    const asked = { files, source, keyColumns: columns, derivedKey: derived, withRetracted: true };
    const rows = await withKeyedEvents(engine, asked, (relation) =>
      engine.rows(`SELECT DISTINCT _key AS key FROM ${relation} WHERE ${condition} ORDER BY 1`),
    );
    const keys = rows.map((row) => String(row["key"]));
    const others = keys.filter((key) => entity !== forgotten.entity || key !== forgotten.key);
    if (others.length > 0) sharing.push({ entity, keyColumns: columns, keys: others });
  }
  return sharing;
}

/** Of the ids, those that events at other places have. */
export async function idsOfOthers(
  engine: QueryEngine,
  table: OfflineTable,
  ids: readonly string[],
  places: Places,
): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const files = await ownFiles(table);
  const rows = await engine.rows(`SELECT DISTINCT _id AS id FROM ${eventRelation(files, [PARTITION])}
    WHERE _event_time IS NOT NULL AND _id IN (${ids.map(sqlText).join(", ")}) AND NOT coalesce(${atPlaces(places) ?? "false"}, false)`);
  return rows.map(({ id }) => String(id));
}

export interface ForgottenRows {
  readonly places: Places;
  /** That no other event has. */
  readonly ids: readonly string[];
  /** Where what is forgotten ends in a partition: an id that comes behind it is another's. */
  before(partition: number): number;
}

/** Of a row that goes; null where none does. */
export async function isForgottenRow(
  table: OfflineTable,
  { places, ids, before: endOf }: ForgottenRows,
): Promise<string | null> {
  const partitions = [...placesOf(await ownFiles(table)).keys()];
  const isBefore = partitions.map((partition) => `(_partition = ${partition} AND _offset < ${endOf(partition)})`);
  const conditions = [
    ...[atPlaces(places)].filter((one) => one !== null),
    ...(ids.length === 0 || isBefore.length === 0
      ? []
      : [`(_event_time IS NULL AND _id IN (${ids.map(sqlText).join(", ")}) AND (${isBefore.join(" OR ")}))`]),
  ];
  return conditions.length === 0 ? null : conditions.join(" OR ");
}

/** Takes out the rows at these places, and retractions of these ids; what was replaced is deleted. Resolves with their number. */
export async function forgetRows(engine: QueryEngine, table: OfflineTable, asked: ForgottenRows): Promise<number> {
  const isGone = await isForgottenRow(table, asked);
  let before = 0;
  let after = 0;
  if (isGone !== null) {
    const { rowsWritten, replaced } = await rewriteFiles(table, engine, {
      operation: "FORGET",
      plan: async ({ files }) =>
        (await filesWith(engine, files, isGone)).map((file) => ({
          files: [file],
          select: `SELECT * FROM ${fileRelation(file)} WHERE (${isGone}) IS NOT TRUE ORDER BY _partition, _offset`,
        })),
    });
    before = replaced.reduce((sum, { rows }) => sum + rows, 0);
    after = rowsWritten;
  }
  // Before what takes long: where this is cut short, nobody knows any more which they are.
  await forgetUnnamed(engine, table, asked.places);
  // Also what a forgetting that was cut short, or another joining of files, has left.
  await table.erase(() => true);
  await forgetUnnamed(engine, table, asked.places);
  return before - after;
}

/**
 * Files that a worker had written when it was killed, or is too late to commit: behind a mark all is archived, and who has the
 * rows of these places once more, or from a file that is replaced now, is refused.
 */
async function forgetUnnamed(engine: QueryEngine, table: OfflineTable, places: Places): Promise<void> {
  const isGone = atPlaces(places);
  if (isGone === null) return;
  await discardUnnamed(engine, table, isGone);
}

export function atPlaces(places: Places): string | null {
  const each = Array.from(places).flatMap(([partition, offsets]) =>
    offsets.size === 0 ? [] : [`(_partition = ${partition} AND _offset IN (${[...offsets].join(", ")}))`],
  );
  return each.length === 0 ? null : `(${each.join(" OR ")})`;
}
