/**
 * All passes of a training set, one after the other, on the threads that it was given.
 */
import { availableParallelism } from "node:os";
import type { QueryEngine } from "../offline-store/engine.ts";
import { filesBehind } from "../offline-store/event-archive.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import type { TaskResult } from "./join-task.ts";
import { openJoinPool, type PooledView } from "./join-threads.ts";
import type { LabelPiece, LabelPieces } from "./label-pieces.ts";
import { replayInTasks } from "./replay-in-tasks.ts";
import type { ReplayResult } from "./replay-view.ts";
import { spineEntityTable } from "./spine.ts";
import type { ViewPass } from "./view-passes.ts";

/** From so many events on, other threads bring more than it costs to start them. */
const EVENTS_FOR_THREADS = 300_000;

/** Where the answers of one pass go. */
export interface PassSink {
  /** Which of the pass's pieces are to be answered. */
  wanted(pieces: LabelPieces): LabelPieces;
  /** The engine's table of entities, less those of whom nothing is wanted. */
  readonly entityTable: string;
  /** Labels that were answered before. */
  readonly labelsBefore: number;
  take(piece: LabelPiece, result: TaskResult): Promise<void> | void;
  /** What came of the whole pass, given what came of it now. */
  finish(now: ReplayResult): Promise<ReplayResult>;
}

export interface PassesRequest {
  readonly engine: QueryEngine;
  readonly passes: readonly ViewPass[];
  readonly threads: number;
  readonly sinkOf: (pass: ViewPass, index: number) => Promise<PassSink>;
  /** `view@version`, label rows. */
  readonly onProgress?: (view: string, done: number, total: number) => void;
  /** `view@version`, percent of its events. */
  readonly onSorting?: (view: string, percent: number) => void;
  readonly signal?: AbortSignal;
}

/** Yields a pass once its sink has all answers. Throws `CANCELLED`, and what the engine and the sinks throw. */
export async function* replayPasses(
  request: PassesRequest,
): AsyncIterableIterator<{ readonly pass: ViewPass; readonly result: ReplayResult }> {
  const { engine, passes, threads, sinkOf, onProgress, onSorting, signal } = request;
  const views = passes.map(pooledView);
  const pool = openJoinPool(views, threads);
  try {
    for (const [index, pass] of passes.entries()) {
      const sink = await sinkOf(pass, index);
      const { name } = pass.view;
      onProgress?.(name, sink.labelsBefore, pass.labelCount);
      const result = await replayInTasks({
        engine,
        pool,
        index,
        view: views[index]!,
        files: pass.files,
        entityTable: sink.entityTable,
        pieces: sink.wanted(pass.pieces()),
        take: (piece, answer) => sink.take(piece, answer),
        onProgress: (done) => onProgress?.(name, sink.labelsBefore + done, pass.labelCount),
        onSorting: (percent) => onSorting?.(name, percent),
        ...(signal === undefined ? {} : { signal }),
      });
      yield { pass, result: await sink.finish(result) };
    }
  } finally {
    await pool.close();
  }
}

/** Puts what labels see at their rows of the columns. */
export function columnSink(pass: ViewPass, inputs: readonly FeatureColumn[]): PassSink {
  const columns = pass.view.features.map(({ input }) => inputs[input]!);
  return {
    entityTable: spineEntityTable(pass.view.entityIndex),
    labelsBefore: 0,
    wanted: (pieces) => pieces,
    take: ({ row }, { columns: cells }) => columns.forEach((column, i) => column.scatter(row, cells[i]!)),
    finish: async (now) => now,
  };
}

/** One a core where there are events enough. */
export function defaultThreads(passes: readonly ViewPass[]): number {
  return eventsIn(passes) < EVENTS_FOR_THREADS ? 1 : availableParallelism();
}

function eventsIn(passes: readonly ViewPass[]): number {
  const files = passes.flatMap(({ files: all, view: { view } }) => filesBehind(all, view.definition.key));
  return files.reduce((sum, file) => sum + file.rows, 0);
}

function pooledView({ view: { view, features }, bound }: ViewPass): PooledView {
  const { definition, source, entity, fold } = view;
  const wanted = features.map(({ feature, type, slot }) => ({ name: feature, type, slot }));
  return { definition, source, entity, fold, bound, features: wanted };
}
