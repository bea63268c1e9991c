/**
 * Archived events, entity by entity: what every replay of a log reads.
 *
 * The engine scans, turns keys into dense integers and sorts; times arrive as doubles of microseconds.
 * Nothing here computes anything about the events: the caller folds them.
 */
import { randomUUID } from "node:crypto";
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Column, Value } from "../schema/value.ts";
import { sqlName, sqlText, type EngineColumn, type EngineVector, type FillBatch, type QueryEngine } from "./engine.ts";
import { entityKeySql, keyIsUsableSql } from "./entity-key-sql.ts";
import { type EventFiles, filesBehind } from "./event-archive.ts";
import { columnSql, engineColumn, eventRelation, rowFiller, storedColumn } from "./event-relation.ts";
import { filesWithin } from "./file-pruning.ts";
import type { TableFile } from "./offline-store.ts";
import { createRetractionTables, IS_RETRACTION_SQL, retractionFiles, type RetractionTables } from "./retractions.ts";

export interface KeyedEventsRequest {
  readonly files: EventFiles;
  readonly source: SourceDefinition;
  /** Source columns that hold the entity's key, in key order; events without a usable key are left out. */
  readonly keyColumns: readonly string[];
  /** Needed where a key column is derived: the key is then computed for every event, in a pass of its own. */
  readonly derivedKey?: DerivedKey;
  /** Only offsets from here on. */
  readonly fromOffset?: number;
  /** Only offsets below this one, and nothing of retractions from there on. */
  readonly beforeOffset?: number;
  /** Only those known by then, microseconds, and nothing of retractions that were known later. */
  readonly knownBy?: number;
  /** Only those of this partition, of events in several. */
  readonly partition?: number | undefined;
  /** Without events of these ids. */
  readonly withoutIds?: readonly string[];
  /** Without those at these offsets, of one partition. */
  readonly withoutOffsets?: readonly number[];
  /** Only entities whose key comes after this one, bytewise. */
  readonly afterKey?: EntityKey;
}

export interface EventReadRequest extends KeyedEventsRequest {
  /** Stored columns that are wanted. */
  readonly columns: readonly string[];
  /** Only events that count to the end, or to `beforeOffset`, with the marks of those that do not. By effective time always, and without marks. */
  readonly survivorsOnly?: boolean;
  /** Table (entity_id INTEGER, entity_key VARCHAR): only these entities, under these ids. */
  readonly restrictTo?: string;
  /**
   * Only events whose time, known or effective, is not behind their entity's `last_time` (microseconds as DOUBLE) in that
   * table. Files and parts of files that hold nothing else are not read.
   */
  readonly upTo?: "known-time" | "effective-time";
  /** Within an entity: by offset, or by (min(event time, known time), offset). */
  readonly order: "offset" | "effective-time";
  /** Makes `keyText` usable. */
  readonly withKeys?: boolean;
  /** Table to create, with the column `_offset`, of the events within bounds that have no usable key. */
  readonly keylessTable?: string;
}

export interface DerivedKey {
  /** Stored columns the key is computed from. */
  readonly columns: readonly string[];
  /** Canonical key of a row that holds them, at their places; null where it has none. The array is reused. */
  keyOf(stored: Value[]): EntityKey | null;
}

/** At most some thousand events. The arrays belong to the caller. */
export interface EntityEventBatch {
  readonly rowCount: number;
  /** Dense id of the event's entity, never decreasing over all batches; without `restrictTo` in key order. */
  readonly entity: Int32Array;
  readonly offset: Float64Array;
  /** Microseconds. NaN for a mark: a retraction that takes back events of the entity, and has no row. */
  readonly eventTime: Float64Array;
  readonly knownTime: Float64Array;
  /** Where events of the source were taken back; absent where none was, or only those that count are read. */
  readonly retractions?: BatchRetractions;
  /** Writes the wanted columns of one event into `into`, at their places among the source's stored columns. */
  fillRow(index: number, into: Value[]): void;
  /** Canonical key of an entity of this batch. Needs `withKeys`. */
  keyText(entity: number): EntityKey;
}

export interface BatchRetractions {
  /** Offset of the mark that takes the event back; Infinity for none. */
  readonly at: Float64Array;
  /** Whether the entity has marks. */
  has(entity: number): boolean;
}

/** As the engine handed it over: also the vectors that `fillRow` writes from, in the order of the columns asked for. */
export interface ReadEventBatch extends EntityEventBatch {
  readonly values: readonly EngineVector[];
  readonly validity: readonly (Uint8Array | null)[];
}

/** Streams events sorted by (entity, order). Throws what the engine throws; `DEFINITION_INVALID` for a bad column. */
export async function* readEventsByEntity(
  engine: QueryEngine,
  request: EventReadRequest,
): AsyncIterableIterator<ReadEventBatch> {
  const { source, columns } = request;
  const wanted = columns.map((name) => storedColumn(source, name));
  const scratch = randomUUID();
  const entities = request.restrictTo ?? `entities_${scratch}`;
  const keyTable = `keys_${scratch}`;
  let tables: RetractionTables | null = null;
  try {
    const cut = await timeCut(engine, request);
    const base = await keyedScan(engine, { ...request, files: cut.files }, wanted, keyTable);
    tables = await retractionTables(engine, { ...request, files: cut.files });
    const withMarks = tables !== null && request.order === "offset";
    const isBare = tables === null || request.order !== "offset" || request.survivorsOnly === true;
    const scan = tables === null ? base : countingEvents(base, tables, isBare, withMarks);
    if (request.restrictTo === undefined) {
      await engine.run(`CREATE TABLE ${sqlName(entities)} AS
        SELECT (row_number() OVER (ORDER BY _key) - 1)::INTEGER AS entity_id, _key AS entity_key
        FROM (SELECT DISTINCT _key FROM ${scan})`);
    }
    const corrected = isBare ? null : await correctedEntities(engine, base, tables!, entities);
    const sortBy = request.order === "offset" ? "_offset" : "least(_event_time, _known_time), _offset";
    const eventTime = `epoch_us(s._event_time)::DOUBLE`;
    const sql = `SELECT e.entity_id, s._offset::DOUBLE, ${withMarks ? `coalesce(${eventTime}, 'nan'::DOUBLE)` : eventTime}, epoch_us(s._known_time)::DOUBLE
        ${isBare ? "" : ", coalesce(s._retracted_at::DOUBLE, 'infinity'::DOUBLE)"} ${wanted.map((column) => `, ${columnSql(column)}`).join("")}
      FROM ${scan} s JOIN ${sqlName(entities)} e ON s._key = e.entity_key ${cut.where}
      ORDER BY e.entity_id, ${sortBy}`;
    const meta = isBare ? [INT32, NUMBER, NUMBER, NUMBER] : [INT32, NUMBER, NUMBER, NUMBER, NUMBER];
    const keyCursor = request.withKeys === true ? new KeyCursor(engine, entities) : null;
    const places = wanted.map((column) => source.columns.indexOf(column));
    try {
      for await (const batch of engine.stream(sql, [...meta, ...wanted.map(engineColumn)])) {
        const [entity, offset, eventTime, knownTime] = batch.columns;
        const at = isBare ? null : (batch.columns[4] as Float64Array);
        const vectors = batch.columns.slice(meta.length);
        const validity = batch.validity.slice(meta.length);
        const fill = rowFiller(wanted, places, vectors, validity);
        const ids = entity as Int32Array;
        await keyCursor?.cover(ids[0]!, ids[batch.rowCount - 1]!);
        yield {
          rowCount: batch.rowCount,
          entity: ids,
          offset: offset as Float64Array,
          eventTime: eventTime as Float64Array,
          knownTime: knownTime as Float64Array,
          ...(at === null ? {} : { retractions: { at, has: (id: number) => corrected!.has(id) } }),
          values: vectors,
          validity,
          fillRow: fill,
          keyText: (id) => keyOf(keyCursor, id),
        };
      }
    } finally {
      await keyCursor?.close();
    }
  } finally {
    await tables?.drop();
    if (request.restrictTo === undefined) await engine.run(`DROP TABLE IF EXISTS ${sqlName(entities)}`);
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(keyTable)}`);
  }
}

/** Null where nothing was taken back. */
async function retractionTables(
  engine: QueryEngine,
  { files, keyColumns, beforeOffset, knownBy }: KeyedEventsRequest,
): Promise<RetractionTables | null> {
  const all = filesBehind(files, keyColumns);
  if (retractionFiles(all).length === 0) return null;
  const isPartitioned = files.keyedBy !== undefined;
  const relation = (some: readonly TableFile[]): string => eventRelation(some, isPartitioned ? [PARTITION] : []);
  return createRetractionTables(engine, relation, { files: all, beforeOffset, knownBy, isPartitioned });
}

/** Events as they are read where some were taken back: `isBare` leaves those out, marks stand at what took them back. */
function countingEvents(base: string, tables: RetractionTables, isBare: boolean, withMarks: boolean): string {
  const events = `SELECT b.*, t.at AS _retracted_at FROM ${base} b LEFT JOIN ${tables.retracted} t ON ${tables.isOf("t", "b")}
    ${isBare ? "WHERE t.at IS NULL" : ""}`;
  if (!withMarks) return `(${events})`;
  return `(${events} UNION ALL BY NAME ${marksSql(base, tables)})`;
}

function marksSql(base: string, { retracted, isOf }: RetractionTables): string {
  return `SELECT DISTINCT b._key, t.at AS _offset, NULL::TIMESTAMPTZ AS _event_time, t.known AS _known_time
    FROM ${base} b JOIN ${retracted} t ON ${isOf("t", "b")}`;
}

async function correctedEntities(
  engine: QueryEngine,
  base: string,
  tables: RetractionTables,
  entities: string,
): Promise<ReadonlySet<number>> {
  const sql = `SELECT DISTINCT e.entity_id FROM (${marksSql(base, tables)}) m JOIN ${sqlName(entities)} e ON m._key = e.entity_key`;
  const ids = new Set<number>();
  for await (const batch of engine.stream(sql, [INT32])) for (const id of batch.columns[0] as Int32Array) ids.add(id);
  return ids;
}

/** The files, less those known too late as a whole, and what leaves out the later events of the others. */
async function timeCut(
  engine: QueryEngine,
  { upTo, restrictTo, files }: EventReadRequest,
): Promise<{ readonly files: EventFiles; readonly where: string }> {
  if (upTo === undefined || restrictTo === undefined) return { files, where: "" };
  const [row] = await engine.rows(`SELECT max(last_time) AS last FROM ${sqlName(restrictTo)}`);
  const last = Number(row?.["last"] ?? Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(last)) return { files, where: "" };
  if (upTo === "effective-time") {
    // An event that is known late may have happened early.
    return { files, where: "WHERE epoch_us(least(s._event_time, s._known_time)) <= e.last_time" };
  }
  const isEarly = ({ tags }: TableFile): boolean => !(Number(tags["firstKnownTime"]) > last);
  return {
    files: { ...files, history: files.history.filter(isEarly), live: files.live.filter(isEarly) },
    where: `WHERE s._known_time <= make_timestamptz(${last}::BIGINT) AND epoch_us(s._known_time) <= e.last_time`,
  };
}

/**
 * Lends `work` a relation of the events within bounds that have a usable key and count to the end (with `withRetracted`:
 * those too that do not): `_key`, `_offset`, `_event_time`, `_known_time` (both TIMESTAMPTZ), `_id`, `_partition` where there
 * are several, and the stored columns that are wanted.
 */
export async function withKeyedEvents<T>(
  engine: QueryEngine,
  request: KeyedEventsRequest & { readonly columns?: readonly string[]; readonly withRetracted?: boolean },
  work: (relation: string) => Promise<T>,
): Promise<T> {
  const keyTable = `keys_${randomUUID()}`;
  const wanted = (request.columns ?? []).map((name) => storedColumn(request.source, name));
  let tables: RetractionTables | null = null;
  try {
    const base = await keyedScan(engine, request, wanted, keyTable);
    if (request.withRetracted !== true) tables = await retractionTables(engine, request);
    return await work(tables === null ? base : countingEvents(base, tables, true, false));
  } finally {
    await tables?.drop();
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(keyTable)}`);
  }
}

/** The events within bounds that have a usable key, with it as `_key`. */
async function keyedScan(
  engine: QueryEngine,
  request: KeyedEventsRequest & Pick<EventReadRequest, "keylessTable">,
  wanted: readonly Column[],
  keyTable: string,
): Promise<string> {
  const { files, source, derivedKey, keylessTable } = request;
  const partitioned = files.keyedBy?.(request.keyColumns);
  const all = filesWithin(partitioned?.files ?? [...files.history, ...files.live], "_offset", {
    ...(request.fromOffset === undefined ? {} : { from: request.fromOffset }),
    ...(request.beforeOffset === undefined ? {} : { before: request.beforeOffset }),
  });
  // What names an event: in several partitions an offset alone does not.
  const place: readonly Column[] = partitioned === undefined ? [OFFSET] : [OFFSET, PARTITION];
  const partition = place.slice(1);
  const bounds = [
    ...(retractionFiles(all).length === 0 ? [] : [`NOT ${IS_RETRACTION_SQL}`]),
    ...(request.partition === undefined ? [] : [`_partition = ${request.partition}`]),
    ...(request.fromOffset === undefined ? [] : [`_offset >= ${request.fromOffset}`]),
    ...(request.beforeOffset === undefined ? [] : [`_offset < ${request.beforeOffset}`]),
    ...(request.knownBy === undefined ? [] : [`epoch_us(_known_time) <= ${request.knownBy}`]),
  ];
  if (request.withoutIds !== undefined && request.withoutIds.length > 0)
    bounds.push(`(_id IS NULL OR _id NOT IN (${request.withoutIds.map(sqlText).join(", ")}))`);
  if (request.withoutOffsets !== undefined && request.withoutOffsets.length > 0)
    bounds.push(`_offset NOT IN (${request.withoutOffsets.join(", ")})`);
  const isStored = (name: string): boolean => source.columns.some((column) => column.name === name);
  if (request.keyColumns.every(isStored)) {
    const keys = request.keyColumns.map((name) => storedColumn(source, name));
    const keySql = entityKeySql(keys);
    const relation = eventRelation(all, [...new Set([...partition, ...wanted, ...keys])]);
    if (keylessTable !== undefined) {
      const keyless = [`NOT ${keyIsUsableSql(keySql)}`, ...bounds].join(" AND ");
      const from = eventRelation(all, keys);
      await engine.run(`CREATE TABLE ${sqlName(keylessTable)} AS SELECT _offset FROM ${from} WHERE ${keyless}`);
    }
    const after = request.afterKey === undefined ? [] : [`${keySql} > ${sqlText(request.afterKey)}`];
    return `(SELECT *, ${keySql} AS _key FROM ${relation} WHERE ${[keyIsUsableSql(keySql), ...bounds, ...after].join(" AND ")})`;
  }
  if (derivedKey === undefined) {
    throw new OnefoldError(
      "INTERNAL",
      `the key ${request.keyColumns.join(", ")} is derived and cannot be read without derivedKey`,
    );
  }
  const inputs = derivedKey.columns.map((name) => storedColumn(source, name));
  const where = bounds.length === 0 ? "" : `WHERE ${bounds.join(" AND ")}`;
  const selected = [...place, ...inputs].map(columnSql).join(", ");
  const sql = `SELECT ${selected} FROM ${eventRelation(all, [...partition, ...inputs])} s ${where}`;
  const places = inputs.map((column) => source.columns.indexOf(column));
  async function* keys(): AsyncIterableIterator<FillBatch> {
    const stored: Value[] = source.columns.map(() => null);
    for await (const batch of engine.stream(sql, [...place, ...inputs].map(engineColumn))) {
      const placed = batch.columns.slice(0, place.length) as Float64Array[];
      const vectors = batch.columns.slice(place.length);
      const fill = rowFiller(inputs, places, vectors, batch.validity.slice(place.length));
      const texts: (EntityKey | null)[] = [];
      for (let i = 0; i < batch.rowCount; i++) {
        fill(i, stored);
        texts.push(derivedKey!.keyOf(stored));
      }
      const validity = [...place.map(() => null), null];
      yield { rowCount: batch.rowCount, columns: [...placed, texts], validity };
    }
  }
  await engine.fill(keyTable, [...place, { name: "_key", type: { name: "string" }, nullable: true }], keys());
  if (keylessTable !== undefined) {
    const keyless = `SELECT _offset FROM ${sqlName(keyTable)} WHERE _key IS NULL`;
    await engine.run(`CREATE TABLE ${sqlName(keylessTable)} AS ${keyless}`);
  }
  const using = place.map(({ name }) => name).join(", ");
  const after = request.afterKey === undefined ? "" : ` AND _key > ${sqlText(request.afterKey)}`;
  return `(SELECT * FROM ${eventRelation(all, [...partition, ...wanted])} JOIN ${sqlName(keyTable)} USING (${using}) WHERE _key IS NOT NULL${after})`;
}

const OFFSET: Column = { name: "_offset", type: { name: "int64" }, nullable: true };
const PARTITION: Column = { name: "_partition", type: { name: "int64" }, nullable: true };

const NUMBER: EngineColumn = { as: "number" };
const INT32: EngineColumn = { as: "int32" };

function keyOf(cursor: KeyCursor | null, id: number): EntityKey {
  if (cursor === null) throw new OnefoldError("INTERNAL", "keys were read without withKeys");
  return cursor.keyText(id);
}

/** Walks the entity table once, in step with the events, so that only a batch's keys are in memory. */
class KeyCursor {
  readonly #batches: AsyncIterator<{ readonly rowCount: number; readonly columns: readonly EngineVector[] }>;
  readonly #texts = new Map<number, EntityKey>();
  #lastId = -1;
  #exhausted = false;

  constructor(engine: QueryEngine, table: string) {
    const sql = `SELECT entity_id, entity_key FROM ${sqlName(table)} ORDER BY entity_id`;
    this.#batches = engine.stream(sql, [INT32, { as: "text" }]);
  }

  /** Holds the keys of ids first..last; ids below `first` are forgotten. */
  async cover(first: number, last: number): Promise<void> {
    for (const id of this.#texts.keys()) {
      if (id >= first) break;
      this.#texts.delete(id);
    }
    while (this.#lastId < last && !this.#exhausted) {
      const next = await this.#batches.next();
      if (next.done === true) {
        this.#exhausted = true;
        return;
      }
      const [ids, texts] = next.value.columns;
      for (let i = 0; i < next.value.rowCount; i++) {
        this.#lastId = ids![i] as number;
        if (this.#lastId >= first) this.#texts.set(this.#lastId, texts![i] as string);
      }
    }
  }

  keyText(id: number): EntityKey {
    const text = this.#texts.get(id);
    if (text === undefined) throw new OnefoldError("INTERNAL", `entity ${id} is not in this batch`);
    return text;
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}
