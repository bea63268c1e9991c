/**
 * A view's values of all its entities at one moment, as a file.
 *
 * They are folded from the archived events, as training does it, with one label an entity: so the file has what serving
 * gave at that moment for the events known by then, for any moment of the past, and beside a running server. Events stream
 * by in the order of the entities; in memory stand one state and 24 bytes an entity.
 */
import type { Micros } from "../base/micros.ts";
import type { ViewDefinition } from "../define/definition.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import { type EngineBatch, type QueryEngine, sqlName } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity, withKeyedEvents } from "../offline-store/event-reader.ts";
import { filesWithin } from "../offline-store/file-pruning.ts";
import { decodeEntityKey, type EntityKey } from "../schema/entity-key.ts";
import type { Value } from "../schema/value.ts";
import { type LabelRun, ViewJoin } from "./point-in-time-join.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { checkRowOutput, writeRows } from "./row-output.ts";

export interface ExportRequest {
  readonly ports: Pick<TrainingPorts, "archive" | "clock" | "openEngine" | "view">;
  readonly view: string;
  readonly version: ViewDefinition["version"];
  /** Ends in .parquet or .csv. */
  readonly out: string;
  /** Default: now. */
  readonly asOf?: Micros;
  readonly onProgress?: (entitiesDone: number, entityCount: number) => void;
  readonly signal?: AbortSignal;
}

export interface ExportedView {
  readonly asOf: Micros;
  /** Entities with an event that was known, and not taken back, by then. */
  readonly rowCount: number;
  readonly eventsFolded: number;
  /** Events that left a state as it was, because a predicate or custom function threw on them. */
  readonly eventsPoisoned: number;
}

const ENTITIES = "exported_entities";
const ROWS_A_BATCH = 8192;

/** One row an entity, in the order of their keys: key columns, then features. Throws `VIEW_UNKNOWN`, `REQUEST_INVALID`, `CANCELLED`. */
export async function exportView(request: ExportRequest): Promise<ExportedView> {
  const { ports, out, signal } = request;
  const view = ports.view(request.view, request.version);
  const columns = [
    ...view.entity.keys.map(({ name, type }) => ({ name, type })),
    ...view.fold.features.map(({ name, type }) => ({ name, type })),
  ];
  await checkRowOutput(out, columns);
  const files = await (await ports.archive(view.source.name)).files();
  const newest = Number.isFinite(files.lastKnownTime) ? files.lastKnownTime : Number.NEGATIVE_INFINITY;
  const asOf = request.asOf ?? (Math.max(ports.clock.now(), newest) as Micros);
  const engine = await ports.openEngine();
  const interrupt = (): void => engine.interrupt();
  signal?.addEventListener("abort", interrupt);
  try {
    const known = filesKnownBy(files, asOf);
    const entityCount = await createEntities(engine, view, known, asOf);
    const replay = new Replay(engine, view, known, entityCount, asOf, request);
    const rowCount = await writeRows({
      engine,
      path: out,
      columns,
      rows: replay.rows(),
      ...(signal === undefined ? {} : { signal }),
    });
    const { eventsFolded, eventsPoisoned } = replay.join;
    return { asOf, rowCount, eventsFolded, eventsPoisoned };
  } finally {
    signal?.removeEventListener("abort", interrupt);
    await engine.close();
  }
}

/** Less those in which nothing was known by then. */
function filesKnownBy(files: EventFiles, asOf: Micros): EventFiles {
  const within = { before: asOf + 1 };
  return {
    ...files,
    history: filesWithin(files.history, "_known_time", within),
    live: filesWithin(files.live, "_known_time", within),
  };
}

/** Makes the table of all entities with an event that counted at the time, with dense ids in the order of the keys. */
async function createEntities(
  engine: QueryEngine,
  view: TrainingView,
  files: EventFiles,
  asOf: Micros,
): Promise<number> {
  const { definition, source, fold } = view;
  const derivedKey = keyFromStored(source, definition.key, fold);
  const counted = { files, source, keyColumns: definition.key, derivedKey, knownBy: asOf };
  await withKeyedEvents(engine, counted, (relation) =>
    engine.run(`CREATE OR REPLACE TABLE ${sqlName(ENTITIES)} AS
      SELECT (row_number() OVER (ORDER BY _key) - 1)::INTEGER AS entity_id, _key AS entity_key
      FROM (SELECT DISTINCT _key FROM ${relation})`),
  );
  const [row] = await engine.rows(`SELECT count(*) AS n FROM ${sqlName(ENTITIES)}`);
  return Number(row!["n"]);
}

class Replay {
  readonly join: ViewJoin;
  readonly #engine: QueryEngine;
  readonly #view: TrainingView;
  readonly #files: EventFiles;
  readonly #entityCount: number;
  readonly #request: ExportRequest;
  /** Values of the entities read since they were last handed on, in order; null for one with no event by then. */
  #read: (readonly Value[] | null)[] = [];

  constructor(
    engine: QueryEngine,
    view: TrainingView,
    files: EventFiles,
    entityCount: number,
    asOf: Micros,
    request: ExportRequest,
  ) {
    this.#engine = engine;
    this.#view = view;
    this.#files = files;
    this.#entityCount = entityCount;
    this.#request = request;
    const ids = Int32Array.from({ length: entityCount }, (_, id) => id);
    const moment = new Float64Array(entityCount).fill(asOf);
    const labels: LabelRun = { count: entityCount, entity: ids, limit: moment, asOf: moment, row: ids };
    this.join = new ViewJoin({
      fold: view.fold,
      storedColumnCount: view.source.columns.length,
      derive: deriveForView(view.definition, view.source)?.derive ?? null,
      bound: "known",
      labels,
      columns: [],
      onRead: (_label, state, read) => this.#read.push(state === null ? null : [...read.values]),
    });
  }

  async *rows(): AsyncIterableIterator<(readonly Value[])[]> {
    if (this.#entityCount === 0) return;
    const keys = new KeysInOrder(this.#engine);
    const { definition, source, fold } = this.#view;
    const events = readEventsByEntity(this.#engine, {
      files: this.#files,
      source,
      keyColumns: definition.key,
      derivedKey: keyFromStored(source, definition.key, fold),
      columns: fold.inputColumns,
      restrictTo: ENTITIES,
      order: "offset",
    });
    try {
      for await (const batch of events) {
        throwIfCancelled(this.#request.signal);
        this.join.push(batch);
        if (this.#read.length >= ROWS_A_BATCH) yield await this.#handOn(keys);
      }
      this.join.finish();
      yield await this.#handOn(keys);
    } finally {
      await keys.close();
    }
  }

  async #handOn(keys: KeysInOrder): Promise<(readonly Value[])[]> {
    const read = this.#read;
    this.#read = [];
    const types = this.#view.entity.keys.map(({ type }) => type);
    const texts = await keys.next(read.length);
    this.#request.onProgress?.(this.join.labelsDone, this.#entityCount);
    return read.flatMap((values, i) => (values === null ? [] : [[...decodeEntityKey(texts[i]!, types), ...values]]));
  }
}

/** The keys of the entities, in the order of their ids, a few at a time. */
class KeysInOrder {
  readonly #batches: AsyncIterableIterator<EngineBatch>;
  #held: EntityKey[] = [];

  constructor(engine: QueryEngine) {
    this.#batches = engine.stream(`SELECT entity_key FROM ${sqlName(ENTITIES)} ORDER BY entity_id`, [{ as: "text" }]);
  }

  async next(count: number): Promise<EntityKey[]> {
    while (this.#held.length < count) {
      const next = await this.#batches.next();
      if (next.done === true) break;
      this.#held = this.#held.concat(next.value.columns[0] as readonly EntityKey[]);
    }
    return this.#held.splice(0, count);
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}
