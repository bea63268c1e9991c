/**
 * Label rows that carry tokens: each is computed again exactly as it was served, view by view and epoch by epoch.
 */
import { OnefoldError } from "../base/errors.ts";
import { type QueryEngine } from "../offline-store/engine.ts";
import { type EventFiles } from "../offline-store/event-archive.ts";
import { entityIdsByRow, labelsByOffset, readTokens, type ServedLabel } from "./label-runs.ts";
import { type TrainingPorts } from "./ports.ts";
import { type PlannedView, type ServicePlan } from "./service-plan.ts";
import { type Spine } from "./spine.ts";
import { type ViewPass } from "./training-set.ts";

/** Whether the archive already holds the event at `offset`, so that everything up to it can be folded again. */
export function isArchived(offset: number, files: EventFiles): boolean {
  return offset < (offset < 0 ? files.historyEnd : files.liveEnd);
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
  plan: ServicePlan,
  snapshots: ReadonlyMap<string, EventFiles>,
  afterLog: Uint8Array,
): Promise<ViewPass[]> {
  const tokens = await readTokens(engine, spine);
  const ids: Int32Array[] = [];
  for (let index = 0; index < plan.entities.length; index++) ids.push(await entityIdsByRow(engine, spine, index));
  const passes: ViewPass[] = [];
  for (const view of plan.views) {
    const byEpoch = new Map<number, ServedLabel[]>();
    tokens.forEach((token, row) => {
      const read = token.reads.find((candidate) => candidate.view === view.name);
      if (read === undefined) throw notRead(view, spine, row);
      const labels = byEpoch.get(read.epoch) ?? [];
      if (labels.length === 0) byEpoch.set(read.epoch, labels);
      labels.push({ entity: ids[view.entityIndex]![row]!, lastOffset: read.lastOffset, asOf: token.asOf, row });
    });
    for (const [epoch, labels] of [...byEpoch].sort(([a], [b]) => a - b)) {
      const snapshot = snapshots.get(view.view.source.name)!;
      const files = epoch === snapshot.epoch ? snapshot : await (await ports.archive(view.view.source.name)).files(epoch);
      for (const { lastOffset, row } of labels) {
        if (lastOffset !== null && !isArchived(lastOffset, files)) afterLog[row] = 1;
      }
      passes.push({ view, epoch, files, run: labelsByOffset(labels), bound: "offset" });
    }
  }
  return passes;
}

function notRead(view: PlannedView, spine: Spine, row: number): OnefoldError {
  return new OnefoldError("SPINE_INVALID", `a vector token did not read view ${view.name}`, {
    where: `column ${spine.tokenColumn}, row ${row + 1} (counted from 1, without a header)`,
    hint: "the service has changed since that vector was served; train with the service as it was",
  });
}
