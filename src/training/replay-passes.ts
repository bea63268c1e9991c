/**
 * All passes of a training set, one after the other, on the threads that it was given.
 */
import { availableParallelism } from "node:os";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import { openJoinPool, type PooledView } from "./join-threads.ts";
import { piecesOfRun } from "./label-pieces.ts";
import { replayInTasks } from "./replay-in-tasks.ts";
import type { ReplayResult } from "./replay-view.ts";
import { spineEntityTable } from "./spine.ts";
import type { ViewPass } from "./view-passes.ts";

/** From so many events on, other threads bring more than it costs to start them. */
const EVENTS_FOR_THREADS = 300_000;

export interface PassesRequest {
  readonly engine: QueryEngine;
  readonly passes: readonly ViewPass[];
  /** Filled with what each label sees; in the order of the plan's inputs. */
  readonly inputs: readonly FeatureColumn[];
  readonly threads: number;
  /** `view@version`, label rows. */
  readonly onProgress?: (view: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Yields a pass once its columns are filled. Throws `CANCELLED`, and what the engine throws. */
export async function* replayPasses(
  request: PassesRequest,
): AsyncIterableIterator<{ readonly pass: ViewPass; readonly result: ReplayResult }> {
  const { engine, passes, inputs, threads, onProgress, signal } = request;
  const views = passes.map(pooledView);
  const pool = openJoinPool(views, threads);
  try {
    for (const [index, pass] of passes.entries()) {
      const columns = pass.view.features.map(({ input }) => inputs[input]!);
      const result = await replayInTasks({
        engine,
        pool,
        index,
        view: views[index]!,
        files: pass.files,
        entityTable: spineEntityTable(pass.view.entityIndex),
        pieces: piecesOfRun(pass.run),
        take: ({ row }, { columns: cells }) => columns.forEach((column, i) => column.scatter(row, cells[i]!)),
        onProgress: (done) => onProgress?.(pass.view.name, done, pass.run.count),
        ...(signal === undefined ? {} : { signal }),
      });
      yield { pass, result };
    }
  } finally {
    await pool.close();
  }
}

/** One a core where there are events enough. */
export function defaultThreads(passes: readonly ViewPass[]): number {
  const events = passes.reduce((sum, { files }) => {
    return sum + [...files.history, ...files.live].reduce((rows, file) => rows + file.rows, 0);
  }, 0);
  return events < EVENTS_FOR_THREADS ? 1 : availableParallelism();
}

function pooledView({ view: { view, features }, bound }: ViewPass): PooledView {
  const { definition, source, entity, fold } = view;
  const wanted = features.map(({ feature, type, slot }) => ({ name: feature, type, slot }));
  return { definition, source, entity, fold, bound, features: wanted };
}
