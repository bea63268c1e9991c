/**
 * One view over its archived events as tasks of a pool: the engine's one sorted stream is cut where pieces of labels
 * end, and each piece with its events goes to whoever is idle.
 *
 *     events, sorted by entity   e e e | e e e e e | e e ...
 *     labels, sorted by entity   l l   | l l l     | l ...      a piece: some thousand labels, whole entities
 *
 * What comes back is put where it belongs; the order in which it comes back makes no difference.
 */
import { keyFromStored } from "../fold/derive.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { type EventReadRequest, type ReadEventBatch, readEventsByEntity } from "../offline-store/event-reader.ts";
import { cutEvents, type TaskResult } from "./join-task.ts";
import type { JoinPool, OpenTask, PooledView } from "./join-threads.ts";
import type { LabelPiece } from "./label-pieces.ts";
import type { EventBound } from "./point-in-time-join.ts";
import { type ReplayResult, sumOfResults } from "./replay-view.ts";
import { throwIfCancelled } from "../base/cancelled.ts";

export interface TaskReplayRequest {
  readonly engine: QueryEngine;
  readonly pool: JoinPool;
  /** Its place in the pool. */
  readonly index: number;
  readonly view: PooledView;
  readonly files: EventFiles;
  /** Table (entity_id INTEGER, entity_key VARCHAR, and where times bound the labels last_time) that the labels' ids stand for. */
  readonly entityTable: string;
  /** In the order of entities. */
  readonly pieces: Iterable<LabelPiece> | AsyncIterable<LabelPiece>;
  /** Takes what a piece's labels see. */
  readonly take: (piece: LabelPiece, result: TaskResult) => Promise<void> | void;
  readonly onProgress?: (labelsDone: number) => void;
  /** Called while the events are read and sorted, with the percentage that is done. */
  readonly onSorting?: (percent: number) => void;
  readonly signal?: AbortSignal;
}

/** Throws `CANCELLED`, and what the engine and `take` throw. */
export async function replayInTasks(request: TaskReplayRequest): Promise<ReplayResult> {
  const { engine, view, files, signal } = request;
  const { source, definition, fold, bound } = view;
  const replay = new TaskReplay(request);
  try {
    if (await replay.begin()) {
      const batches = readEventsByEntity(engine, {
        files,
        source,
        keyColumns: definition.key,
        derivedKey: keyFromStored(source, definition.key, fold),
        columns: fold.eventColumns,
        restrictTo: request.entityTable,
        ...orderOf(bound),
      });
      const stopWatching = watchSorting(engine, request.onSorting);
      for await (const batch of callingAtFirst(batches, stopWatching)) {
        throwIfCancelled(signal);
        await replay.push(batch);
      }
    }
    return await replay.finish();
  } finally {
    await replay.settle();
  }
}

/** The order that the join wants events in, and how far labels can see. */
function orderOf(bound: EventBound): Pick<EventReadRequest, "order" | "upTo"> {
  if (bound === "offset") return { order: "offset" };
  const isEffective = bound === "effective" || bound === "effective-before";
  return isEffective ? { order: "effective-time", upTo: "effective-time" } : { order: "offset", upTo: "known-time" };
}

const MILLIS_BETWEEN_LOOKS = 500;

/** Until it is stopped, says how far the engine has come. */
function watchSorting(engine: QueryEngine, onSorting: TaskReplayRequest["onSorting"]): () => void {
  if (onSorting === undefined) return () => {};
  const timer = setInterval(() => {
    const share = engine.progress();
    if (share !== null) onSorting(Math.round(share * 100));
  }, MILLIS_BETWEEN_LOOKS);
  return () => clearInterval(timer);
}

/** The same items; `call` is called with each, the first of all, or where none comes. */
async function* callingAtFirst<T>(items: AsyncIterable<T>, call: () => void): AsyncIterableIterator<T> {
  try {
    for await (const item of items) {
      call();
      yield item;
    }
  } finally {
    call();
  }
}

class TaskReplay {
  readonly #request: TaskReplayRequest;
  readonly #pieces: Iterator<LabelPiece> | AsyncIterator<LabelPiece>;
  readonly #results: { readonly order: number; readonly result: ReplayResult }[] = [];
  readonly #finishing = new Set<Promise<void>>();
  #piece: LabelPiece | null = null;
  #task: OpenTask | null = null;
  #opened = 0;
  #labelsDone = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(request: TaskReplayRequest) {
    this.#request = request;
    const { pieces } = request;
    this.#pieces = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  }

  /** False where there are no labels. */
  async begin(): Promise<boolean> {
    return this.#next();
  }

  async push(batch: ReadEventBatch): Promise<void> {
    for (let from = 0; from < batch.rowCount;) {
      while (this.#piece !== null && this.#piece.lastEntity < batch.entity[from]!) await this.#close();
      // Whoever is left has no labels.
      if (this.#piece === null) return;
      const to = firstBehind(batch.entity, from, this.#piece.lastEntity);
      const isFull = this.#task!.push(cutEvents(batch, from, to));
      if (isFull !== undefined) await isFull;
      this.#throwFailure();
      from = to;
    }
  }

  async finish(): Promise<ReplayResult> {
    while (this.#piece !== null) await this.#close();
    await Promise.all(this.#finishing);
    this.#throwFailure();
    return sumOfResults(this.#results.toSorted((a, b) => a.order - b.order).map(({ result }) => result));
  }

  /** Waits for what is under way, however it ends: nobody may take an answer once the engine is closed. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#finishing);
    await this.#pieces.return?.();
  }

  async #next(): Promise<boolean> {
    const { pool, index } = this.#request;
    const next = await this.#pieces.next();
    this.#piece = next.done === true ? null : next.value;
    if (this.#piece === null) return false;
    const { entity, limit, asOf, fallback } = this.#piece;
    // The pool keeps what it is given.
    this.#task = pool.open(index, {
      entity: entity.slice(),
      limit: limit.slice(),
      asOf: asOf?.slice() ?? null,
      ...(fallback === undefined ? {} : { fallback: fallback.slice() }),
    });
    return true;
  }

  async #close(): Promise<void> {
    const piece = this.#piece!;
    const order = this.#opened++;
    const finishing = this.#task!
      .finish()
      .then(async (result) => {
        await this.#request.take(piece, result);
        const { columns: _, ...counts } = result;
        this.#results.push({ order, result: counts });
        this.#labelsDone += piece.row.length;
        this.#request.onProgress?.(this.#labelsDone);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#finishing.delete(finishing));
    this.#finishing.add(finishing);
    this.#throwFailure();
    await this.#next();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

/** The first row behind `from` whose entity comes after `entity`. */
function firstBehind(entities: Int32Array, from: number, entity: number): number {
  let low = from;
  let high = entities.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entities[middle]! <= entity) low = middle + 1;
    else high = middle;
  }
  return low;
}
