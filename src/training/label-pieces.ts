/**
 * The labels of one view in pieces of whole entities, sorted by (entity, limit): what one task of the join answers.
 * Only a piece is in memory at a time. Where pieces end depends on the labels alone.
 */
import type { QueryEngine } from "../offline-store/engine.ts";
import type { TaskLabels } from "./join-task.ts";
import type { LabelRun } from "./point-in-time-join.ts";
import { spineEntityTable } from "./spine.ts";

/** A piece has at least so many labels, but for the last, and ends with an entity. */
export const LABELS_A_PIECE = 2048;

export interface LabelPiece extends TaskLabels {
  /** Row of the spine, by label. */
  readonly row: Int32Array;
  readonly lastEntity: number;
}

export type LabelPieces = Iterable<LabelPiece> | AsyncIterable<LabelPiece>;

/** A run that is in memory, cut up. */
export function* piecesOfRun(run: LabelRun): IterableIterator<LabelPiece> {
  const isTimed = run.asOf === run.limit;
  for (let from = 0; from < run.count;) {
    const to = endOfPiece(run.entity, from, run.count);
    if (to === null) return yield pieceOf(run, from, run.count, isTimed);
    yield pieceOf(run, from, to, isTimed);
    from = to;
  }
}

/** Labels of one entity of the spine that see what was known (or had happened) at their own time. */
export async function* piecesByTime(engine: QueryEngine, entityIndex: number): AsyncIterableIterator<LabelPiece> {
  const sql = `SELECT e.entity_id, l.row, l.t FROM spine_label l
    JOIN ${spineEntityTable(entityIndex)} e ON e.entity_key = l.key_${entityIndex} ORDER BY 1, 3, 2`;
  let left: LabelRun = runOf(new Int32Array(0), new Int32Array(0), new Float64Array(0));
  for await (const batch of engine.stream(sql, [{ as: "int32" }, { as: "int32" }, { as: "number" }])) {
    const [entity, row, limit] = batch.columns as [Int32Array, Int32Array, Float64Array];
    left = runOf(
      joined(Int32Array, left.entity, entity),
      joined(Int32Array, left.row, row),
      joined(Float64Array, left.limit, limit),
    );
    for (let to = endOfPiece(left.entity, 0, left.count); to !== null; to = endOfPiece(left.entity, 0, left.count)) {
      yield pieceOf(left, 0, to, true);
      left = runOf(left.entity.slice(to), left.row.slice(to), left.limit.slice(to));
    }
  }
  if (left.count > 0) yield pieceOf(left, 0, left.count, true);
}

function runOf(entity: Int32Array, row: Int32Array, limit: Float64Array): LabelRun {
  return { count: entity.length, entity, limit, asOf: limit, row };
}

function joined<A extends Int32Array | Float64Array>(type: new (length: number) => A, a: A, b: A): A {
  const both = new type(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Where a piece that begins at `from` ends; null where that may be behind the labels that are there. */
function endOfPiece(entity: Int32Array, from: number, count: number): number | null {
  let to = from + LABELS_A_PIECE;
  while (to < count && entity[to] === entity[to - 1]) to++;
  return to < count ? to : null;
}

function pieceOf(
  { entity, limit, asOf, row, fallback }: LabelRun,
  from: number,
  to: number,
  isTimed: boolean,
): LabelPiece {
  return {
    entity: entity.slice(from, to),
    limit: limit.slice(from, to),
    asOf: isTimed ? null : asOf.slice(from, to),
    row: row.slice(from, to),
    ...(fallback === undefined ? {} : { fallback: fallback.slice(from, to) }),
    lastEntity: entity[to - 1]!,
  };
}
