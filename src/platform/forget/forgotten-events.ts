/**
 * Which archived events are an entity's, and which retractions go with them.
 *
 * A retraction goes when every event that it takes back goes: it says nothing of anyone else. The ids go that no event
 * of another entity has.
 */
import type { SourceDefinition } from "../../define/definition.ts";
import { keyFromStored } from "../../fold/derive.ts";
import { type QueryEngine, sqlText } from "../../offline-store/engine.ts";
import type { EventFiles } from "../../offline-store/event-archive.ts";
import { withKeyedEvents } from "../../offline-store/event-reader.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import type { TableFile, TableSnapshot } from "../../offline-store/offline-store.ts";
import { createRetractionTables, retractionFiles } from "../../offline-store/retractions.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { CatalogView } from "../view-catalog.ts";

export interface ForgottenEvents {
  /** Files whose offsets are of one order, and the offsets in them that go: the live ones first, then each epoch's history. */
  readonly groups: readonly { readonly files: readonly TableFile[]; readonly offsets: readonly number[] }[];
  /** Live offsets that go: events and retractions. */
  readonly live: ReadonlySet<number>;
  readonly ids: readonly string[];
  /** The present epoch's, with all that is live; and what goes of it. */
  readonly present: { readonly files: EventFiles; readonly offsets: readonly number[] };
  /** In the present epoch. */
  readonly events: number;
  readonly retractions: number;
}

export interface FindRequest {
  readonly engine: QueryEngine;
  readonly snapshot: TableSnapshot;
  readonly source: SourceDefinition;
  /** Of the entity: one for each way in which its views are keyed. */
  readonly views: readonly CatalogView[];
  readonly key: EntityKey;
}

export async function findForgottenEvents(request: FindRequest): Promise<ForgottenEvents> {
  const { engine, snapshot } = request;
  const live = snapshot.files.filter(({ tags }) => tags["segment"] === "live");
  const own = await eventsOf(request, { ...NO_FILES, live });
  const epochs = historyByEpoch(snapshot);
  const groups: { files: readonly TableFile[]; offsets: number[] }[] = [];
  const ids = new Set(own.flatMap(({ id }) => id ?? []));
  let inPresent = 0;
  for (const [epoch, files] of epochs) {
    const found = await eventsOf(request, { ...NO_FILES, history: files });
    for (const { id } of found) if (id !== null) ids.add(id);
    groups.push({ files, offsets: found.map(({ offset }) => offset) });
    if (epoch === Math.max(...epochs.keys())) inPresent = found.length;
  }
  const history = epochs.get(Math.max(...epochs.keys())) ?? [];
  const gone = new Set([...own.map(({ offset }) => offset), ...(groups.at(-1)?.offsets ?? [])]);
  const retractions = await retractionsOf(engine, { ...NO_FILES, history, live }, gone);
  const offsets = [...own.map(({ offset }) => offset), ...retractions];
  return {
    groups: [{ files: live, offsets }, ...groups],
    live: new Set(offsets),
    present: { files: { ...NO_FILES, history, live }, offsets: [...gone] },
    ids: await withoutOthers(engine, [...history, ...live], ids, gone),
    events: own.length + inPresent,
    retractions: retractions.length,
  };
}

const NO_FILES: EventFiles = {
  epoch: 0,
  history: [],
  live: [],
  liveEnd: 0,
  historyEnd: 0,
  lastKnownTime: Number.NEGATIVE_INFINITY,
};

/** Files of every epoch, the present one last. */
function historyByEpoch({ files, removed }: TableSnapshot): Map<number, TableFile[]> {
  const epochs = new Map<number, TableFile[]>();
  for (const file of [...files, ...removed]) {
    if (file.tags["segment"] !== "history") continue;
    const epoch = Number(file.tags["epoch"]);
    epochs.set(epoch, [...(epochs.get(epoch) ?? []), file]);
  }
  return new Map([...epochs].sort(([a], [b]) => a - b));
}

async function eventsOf(
  { engine, source, views, key }: FindRequest,
  files: EventFiles,
): Promise<{ readonly offset: number; readonly id: string | null }[]> {
  const ids = new Map<number, string | null>();
  for (const view of views) {
    await withKeyedEvents(engine, keyedBy(source, view, files), async (relation) => {
      const sql = `SELECT _offset::DOUBLE, _id FROM ${relation} WHERE _key = ${sqlText(key)}`;
      for await (const { rowCount, columns } of engine.stream(sql, [{ as: "number" }, { as: "text" }])) {
        for (let i = 0; i < rowCount; i++) ids.set(columns[0]![i] as number, columns[1]![i] as string | null);
      }
    });
  }
  return Array.from(ids, ([offset, id]) => ({ offset, id })).sort((a, b) => a.offset - b.offset);
}

/** Entities of the view that the events are of, too. `offsets` are of the present epoch. */
export async function entitiesOf(
  engine: QueryEngine,
  { source, view, files, offsets }: EntitiesRequest,
): Promise<readonly EntityKey[]> {
  if (offsets.length === 0) return [];
  const rows = await withKeyedEvents(engine, keyedBy(source, view, files), (relation) =>
    engine.rows(`SELECT DISTINCT _key AS key FROM ${relation} WHERE _offset IN (${offsets.join(", ")}) ORDER BY 1`),
  );
  return rows.map((row) => String(row["key"]));
}

export interface EntitiesRequest {
  readonly source: SourceDefinition;
  readonly view: CatalogView;
  readonly files: EventFiles;
  readonly offsets: readonly number[];
}

/** Those that were taken back, too. */
function keyedBy(source: SourceDefinition, { definition, fold }: CatalogView, files: EventFiles) {
  const derivedKey = keyFromStored(source, definition.key, fold);
  return { files, source, keyColumns: definition.key, derivedKey, withRetracted: true };
}

async function retractionsOf(
  engine: QueryEngine,
  files: EventFiles,
  gone: ReadonlySet<number>,
): Promise<readonly number[]> {
  const all = [...files.history, ...files.live];
  if (retractionFiles(all).length === 0) return [];
  const tables = await createRetractionTables(engine, (some) => eventRelation(some, []), { files: all });
  try {
    const rows = await engine.rows(
      `SELECT r._offset::DOUBLE AS event, r.at::DOUBLE AS mark FROM ${tables.retracted} r`,
    );
    const kept = new Set(rows.flatMap((row) => (gone.has(Number(row["event"])) ? [] : [Number(row["mark"])])));
    const all = new Set(rows.flatMap((row) => (gone.has(Number(row["event"])) ? [Number(row["mark"])] : [])));
    return [...all].filter((at) => !kept.has(at)).sort((a, b) => a - b);
  } finally {
    await tables.drop();
  }
}

async function withoutOthers(
  engine: QueryEngine,
  files: readonly TableFile[],
  ids: ReadonlySet<string>,
  gone: ReadonlySet<number>,
): Promise<readonly string[]> {
  const others = new Set<string>();
  const sql = `SELECT _offset::DOUBLE, _id FROM ${eventRelation(files, [])} WHERE _id IS NOT NULL AND _event_time IS NOT NULL`;
  for await (const { rowCount, columns } of engine.stream(sql, [{ as: "number" }, { as: "text" }])) {
    for (let i = 0; i < rowCount; i++) {
      const id = columns[1]![i] as string;
      if (ids.has(id) && !gone.has(columns[0]![i] as number)) others.add(id);
    }
  }
  return [...ids].filter((id) => !others.has(id));
}
