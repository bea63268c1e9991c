/**
 * Which passes over which events answer the label rows: one a view at the rows' own times, or, for rows that
 * carry tokens, one for each view and epoch that the tokens name.
 */
import { OnefoldError } from "../base/errors.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { type LabelPieces, piecesByTime, piecesOfRun } from "./label-pieces.ts";
import { entityIdsByRow, entityKeysById, labelsByOffset, type ServedLabel } from "./label-runs.ts";
import { isArchived, type LogSnapshot } from "./log-end.ts";
import type { Knowledge } from "./manifest.ts";
import type { EventBound } from "./point-in-time-join.ts";
import type { TrainingPorts } from "./ports.ts";
import type { ServedRows } from "./served-fits.ts";
import type { JoinPlan, PlannedView } from "./service-plan.ts";
import type { Spine } from "./spine.ts";

/** Of label rows that have their own times. */
export type TimedKnowledge = Exclude<Knowledge, "as-served">;

/** How the rows of one view are answered: one pass for each epoch they refer to. */
export interface ViewPass {
  readonly view: PlannedView;
  readonly epoch: number;
  readonly files: EventFiles;
  readonly labelCount: number;
  /** Its labels, sorted; anew each time. */
  readonly pieces: () => LabelPieces;
  readonly bound: EventBound;
}

/** One pass a view over all label rows, in the present epoch. */
export function planTimedRows(
  engine: QueryEngine,
  spine: Spine,
  plan: Pick<JoinPlan, "views">,
  snapshots: ReadonlyMap<string, LogSnapshot>,
  knowledge: TimedKnowledge,
  boundary: "inclusive" | "exclusive",
): ViewPass[] {
  const bound = timedBound(knowledge, boundary);
  return plan.views.map((view) => {
    const { files } = snapshots.get(view.view.source.name)!;
    const pieces = (): LabelPieces => piecesByTime(engine, view.entityIndex);
    return { view, epoch: files.epoch, files, labelCount: spine.rowCount, pieces, bound };
  });
}

/**
 * One pass for each view and epoch that the rows' tokens name. Rows served from events not yet archived are
 * flagged in `afterLog`. Throws `SPINE_INVALID` for a row whose token did not read one of the views,
 * `EPOCH_UNKNOWN` for an epoch the archive does not have.
 */
export async function planServedRows(
  engine: QueryEngine,
  ports: TrainingPorts,
  spine: Spine,
  { column, plan, tokens, programOf }: ServedRows,
  snapshots: ReadonlyMap<string, LogSnapshot>,
  afterLog: Uint8Array,
): Promise<ViewPass[]> {
  const ids: Int32Array[] = [];
  for (let index = 0; index < plan.entities.length; index++) ids.push(await entityIdsByRow(engine, spine, index));
  const passes: ViewPass[] = [];
  for (const view of plan.views) {
    const byEpoch = new Map<number, ServedLabel[]>();
    tokens.forEach((token, row) => {
      if (!plan.programs[programOf[row]!]!.views.has(view.name)) return;
      const read = token.reads.find((candidate) => candidate.view === view.name);
      if (read === undefined) throw notRead(view, column, row);
      const labels = byEpoch.get(read.epoch) ?? [];
      if (labels.length === 0) byEpoch.set(read.epoch, labels);
      const { lastOffset, fallback } = read;
      labels.push({ entity: ids[view.entityIndex]![row]!, lastOffset, asOf: token.asOf, row, fallback });
    });
    for (const [epoch, labels] of [...byEpoch].sort(([a], [b]) => a - b)) {
      const present = snapshots.get(view.view.source.name)!.files;
      const files = epoch === present.epoch ? present : await (await ports.archive(view.view.source.name)).files(epoch);
      // In several partitions it is the entity that says which offsets are meant.
      const keys = files.keyedBy === undefined ? null : await entityKeysById(engine, view.entityIndex);
      for (const { entity, lastOffset, row } of labels) {
        if (lastOffset !== null && !isArchived(lastOffset, files, view.view, keys?.[entity])) afterLog[row] = 1;
      }
      const run = labelsByOffset(labels);
      const pieces = (): LabelPieces => piecesOfRun(run);
      passes.push({ view, epoch, files, labelCount: run.count, pieces, bound: "offset" });
    }
  }
  return passes;
}

function notRead(view: PlannedView, column: string, row: number): OnefoldError {
  return new OnefoldError("SPINE_INVALID", `a vector token did not read view ${view.name}`, {
    where: `column ${column}, row ${row + 1} (counted from 1, without a header)`,
    hint: "the service has changed since that vector was served; train with the service as it was",
  });
}

function timedBound(knowledge: TimedKnowledge, boundary: "inclusive" | "exclusive"): EventBound {
  if (knowledge === "final") return boundary === "inclusive" ? "effective" : "effective-before";
  return boundary === "inclusive" ? "known" : "known-before";
}
