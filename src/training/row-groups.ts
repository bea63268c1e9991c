/**
 * Which joins answer the label rows of a training set, and which services are computed from each.
 *
 * At the rows' own times one join serves all services: a view that several of them read is folded once. Rows as served
 * carry a token for each service, which may have read the same view at another offset and time: there, each service has
 * a join of its own.
 */
import type { QueryEngine } from "../offline-store/engine.ts";
import type { VectorToken } from "../schema/vector-token.ts";
import { readTokens } from "./label-runs.ts";
import { type LogSnapshot, snapshotLogs } from "./log-end.ts";
import type { TrainingPorts } from "./ports.ts";
import { planServedFits, type ServedRows } from "./served-fits.ts";
import { type JoinPlan, type PlannedService, planPrograms } from "./service-plan.ts";
import type { Spine } from "./spine.ts";
import type { TrainingPlan } from "./training-plan.ts";
import { planServedRows, planTimedRows, type TimedKnowledge, type ViewPass } from "./view-passes.ts";

export interface RowGroup {
  readonly join: JoinPlan;
  /** Places among the plan's services, and what their rows are computed by. */
  readonly services: readonly { readonly place: number; readonly planned: PlannedService }[];
  readonly passes: readonly ViewPass[];
  /** By label row, where rows have tokens; else all have their own time and the first program. */
  readonly tokens: readonly VectorToken[] | null;
  readonly programOf: Int32Array | null;
}

export interface GroupedRows {
  readonly groups: readonly RowGroup[];
  readonly snapshots: ReadonlyMap<string, LogSnapshot>;
}

/** Label rows that see what was known, or had happened, at their own times. Throws `SOURCE_UNKNOWN`. */
export async function groupTimedRows(
  engine: QueryEngine,
  ports: TrainingPorts,
  plan: TrainingPlan,
  spine: Spine,
  knowledge: TimedKnowledge,
  boundary: "inclusive" | "exclusive",
): Promise<GroupedRows> {
  const snapshots = await snapshotLogs(ports, plan);
  const passes = planTimedRows(engine, spine, plan, snapshots, knowledge, boundary);
  const services = plan.services.map((planned, place) => ({ place, planned }));
  return { groups: [{ join: plan, services, passes, tokens: null, programOf: null }], snapshots };
}

/** Label rows as served; those served from events not yet archived are flagged. Throws what `planServedRows` throws. */
export async function groupServedRows(
  engine: QueryEngine,
  ports: TrainingPorts,
  plan: TrainingPlan,
  spine: Spine,
  afterLog: Uint8Array,
): Promise<GroupedRows> {
  const served: ServedRows[] = [];
  for (const [place, planned] of plan.services.entries()) {
    const column = spine.tokenColumns[place]!;
    const tokens = await readTokens(engine, column);
    // Its entities stand where the spine has them.
    const alone = planPrograms(ports, planned.programs[0]!, [], plan.entities);
    served.push(
      plan.fitted.has(planned.service)
        ? { column, plan: alone, tokens, programOf: new Int32Array(tokens.length) }
        : planServedFits(ports, alone, tokens, column),
    );
  }
  const snapshots = await snapshotLogs(ports, { views: served.flatMap((one) => one.plan.views) });
  const groups: RowGroup[] = [];
  for (const [place, rows] of served.entries()) {
    const passes = await planServedRows(engine, ports, spine, rows, snapshots, afterLog);
    const { plan: join, tokens, programOf } = rows;
    groups.push({ join, services: [{ place, planned: join }], passes, tokens, programOf });
  }
  return { groups, snapshots };
}
