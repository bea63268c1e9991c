/**
 * The entities a preview looks at, those with the newest events, and their events in a file of their own.
 *
 * Finding them does not read the whole history: files know the offsets of their parts, so the newest events are
 * read first, and more of them only until there are entities enough. Offsets of several partitions are not to be
 * compared: there the newest are those that became known last, and all of the history is looked at. Copying their
 * events, all columns of them, reads it once; from then on a preview of any view on the same source and key reads the
 * copy alone.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { type QueryEngine, sqlName, sqlText } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { type DerivedKey, withKeyedEvents } from "../offline-store/event-reader.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import { createEntityTable } from "./entity-table.ts";

/** Newest events looked at first, and how many times more each time they hold too few entities. */
const NEWEST_EVENTS = 50_000;
const NEWEST_EVENTS_FACTOR = 8;

export interface SampleRequest {
  readonly files: EventFiles;
  readonly source: SourceDefinition;
  readonly keyColumns: readonly string[];
  readonly derivedKey: DerivedKey;
  readonly entityCount: number;
  /** Events known later are not there yet. */
  readonly asOf: Micros;
}

export interface EntitySample {
  /** Newest first. */
  readonly keys: readonly EntityKey[];
  /** All events of these entities, and maybe of others. */
  readonly files: EventFiles;
}

/** Keys of the entities with the newest events, at most `entityCount`. */
export async function newestKeys(engine: QueryEngine, request: SampleRequest): Promise<EntityKey[]> {
  const { files, source, keyColumns, derivedKey, entityCount, asOf } = request;
  const isPartitioned = files.keyedBy !== undefined;
  const newestOf = isPartitioned ? "max(_known_time) DESC, _key" : "max(_offset) DESC";
  const total = isPartitioned ? 0 : files.historyEnd - HISTORY_BASE + files.liveEnd;
  for (let newest = NEWEST_EVENTS; ; newest *= NEWEST_EVENTS_FACTOR) {
    const fromOffset = newest <= files.liveEnd ? files.liveEnd - newest : files.historyEnd + files.liveEnd - newest;
    const bounded = { files, source, keyColumns, derivedKey, ...(newest < total ? { fromOffset } : {}) };
    const rows = await withKeyedEvents(engine, bounded, (relation) =>
      engine.rows(
        `SELECT _key AS entity_key FROM ${relation} WHERE epoch_us(_known_time) <= ${asOf}
         GROUP BY _key ORDER BY ${newestOf} LIMIT ${entityCount}`,
      ),
    );
    if (rows.length === entityCount || newest >= total) return rows.map((row) => String(row["entity_key"]));
  }
}

interface KeptSample extends EntitySample {
  /** What it was taken of: it holds as long as this stays the same. */
  readonly place: string;
  readonly path: string;
}

/** Samples, kept from one preview to the next with the engine that took them. */
export class SampleKeeper {
  readonly engine: QueryEngine;
  readonly #folder: string;
  readonly #kept = new Map<string, KeptSample>();

  private constructor(engine: QueryEngine, folder: string) {
    this.engine = engine;
    this.#folder = folder;
  }

  /** The caller closes it. */
  static async open(openEngine: () => Promise<QueryEngine>): Promise<SampleKeeper> {
    const folder = await mkdtemp(join(tmpdir(), "onefold-sample-"));
    return new SampleKeeper(await openEngine(), folder);
  }

  /** The kept sample where the archive stands where it did, else a new one. */
  async sample(request: SampleRequest): Promise<EntitySample> {
    const { files, source, keyColumns, entityCount, asOf } = request;
    const name = JSON.stringify([source.name, keyColumns]);
    const paths = (files.keyedBy?.(keyColumns).files ?? [...files.history, ...files.live]).map((file) => file.path);
    const place = JSON.stringify([source.columns, source.derived, entityCount, asOf, files.liveEnd, paths]);
    const kept = this.#kept.get(name);
    if (kept?.place === place) return kept;
    const sample = await this.#take(request);
    this.#kept.set(name, { ...sample, place });
    if (kept !== undefined) await rm(kept.path, { force: true });
    return sample;
  }

  async #take(request: SampleRequest): Promise<EntitySample & { readonly path: string }> {
    const { engine } = this;
    const { files, source } = request;
    const keys = await newestKeys(engine, request);
    const path = join(this.#folder, `${randomUUID()}.parquet`);
    await createEntityTable(engine, "sampled_entities", keys);
    const stored = source.columns.map((column) => column.name);
    const keyed = files.keyedBy?.(request.keyColumns);
    const meta = ["_event_time", "_known_time", "_offset", "_id", ...(keyed === undefined ? [] : ["_partition"])];
    const columns = [...stored, ...meta].map(sqlName).join(", ");
    await withKeyedEvents(engine, { ...request, columns: stored }, (relation) =>
      engine.run(
        `COPY (SELECT ${columns} FROM ${relation} WHERE _key IN (SELECT entity_key FROM sampled_entities))
         TO ${sqlText(path)} (FORMAT parquet)`,
      ),
    );
    const copy = { path, bytes: 0, rows: 0, tags: {} };
    const keyedBy = keyed === undefined ? {} : { keyedBy: () => ({ ...keyed, files: [copy] }) };
    return { keys, path, files: { ...files, history: [copy], live: [], ...keyedBy } };
  }

  async close(): Promise<void> {
    await this.engine.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
