/**
 * The labels of one view in pieces of whole entities, sorted by (entity, limit): what one task of the join answers.
 */
import type { LabelRun } from "./point-in-time-join.ts";
import type { TaskLabels } from "./join-task.ts";

/** A piece has at least so many labels, but for the last, and ends with an entity. */
const LABELS_A_PIECE = 4096;

export interface LabelPiece extends TaskLabels {
  /** Row of the spine, by label. */
  readonly row: Int32Array;
  readonly lastEntity: number;
}

/** A run that is in memory, cut up. */
export function* piecesOfRun(run: LabelRun, labelsAPiece: number = LABELS_A_PIECE): IterableIterator<LabelPiece> {
  const isTimed = run.asOf === run.limit;
  for (let from = 0; from < run.count;) {
    const to = endOfPiece(run.entity, from, run.count, labelsAPiece);
    yield {
      entity: run.entity.slice(from, to),
      limit: run.limit.slice(from, to),
      asOf: isTimed ? null : run.asOf.slice(from, to),
      row: run.row.slice(from, to),
      lastEntity: run.entity[to - 1]!,
    };
    from = to;
  }
}

function endOfPiece(entity: Int32Array, from: number, count: number, labelsAPiece: number): number {
  let to = Math.min(from + labelsAPiece, count);
  while (to < count && entity[to] === entity[to - 1]) to++;
  return to;
}
