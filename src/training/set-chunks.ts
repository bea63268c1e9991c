/**
 * The columns of a training set: what the join has read, through the program of each service that computes beyond the
 * features of views. All at once from memory, or chunk by chunk from parts on disk.
 */
import { STATUS_NAMES, type StatusName } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import { computeColumns } from "./computed-columns.ts";
import { FeatureColumn } from "./feature-columns.ts";
import type { FeatureParts } from "./feature-parts.ts";
import { readPartChunks } from "./part-chunks.ts";
import type { RowGroup } from "./row-groups.ts";
import type { JoinPlan, PlannedService } from "./service-plan.ts";
import type { PlannedColumn, TrainingPlan } from "./training-plan.ts";

export interface SetChunk {
  /** Row of the spine that its first is. */
  readonly from: number;
  readonly rowCount: number;
  /** One a feature, in the order of the set. */
  readonly columns: readonly FeatureColumn[];
}

/** What the columns of one group's services are made of. */
export interface ColumnWork {
  readonly plan: TrainingPlan;
  readonly group: Pick<RowGroup, "services" | "programOf">;
  /** Whole columns, by the spine's rows. */
  readonly request: readonly FeatureColumn[];
  /** When each label row is read; null where nothing is computed. */
  readonly asOf: Float64Array | null;
  readonly signal?: AbortSignal;
}

export interface PartsToCompute extends ColumnWork {
  readonly engine: QueryEngine;
  readonly parts: FeatureParts;
  readonly rowCount: number;
}

/** One a feature of the views, all label rows unanswered. */
export function inputColumns({ views }: JoinPlan, rowCount: number): FeatureColumn[] {
  const inputs: FeatureColumn[] = [];
  for (const { features } of views) {
    for (const { input, feature, type, slot } of features) {
      inputs[input] = new FeatureColumn(feature, type, slot, rowCount);
    }
  }
  return inputs;
}

/** Whether some service of the group computes something, and so needs to know when each row is read. */
export function computesMore({ services }: Pick<RowGroup, "services">): boolean {
  return services.some(({ planned }) => !isPlain(planned));
}

/**
 * The columns of a group's services, by service as the plan has them. `inputs` begin with label row `from`, and have as
 * many rows as they have. Throws what the services' programs throw, naming the row, and `CANCELLED`.
 */
export async function serviceColumns(
  work: ColumnWork,
  inputs: readonly FeatureColumn[],
  from: number,
  rowCount: number,
): Promise<FeatureColumn[][]> {
  const { plan, group } = work;
  const columns: FeatureColumn[][] = [];
  for (const { place, planned } of group.services) {
    const made = isPlain(planned)
      ? planned.program.outputs.map(({ slot }) => inputs[planned.programs[0]!.inputs[slot]!]!)
      : await computed(work, planned, inputs, from, rowCount);
    columns.push(made.map((column, i) => column.named((plan.columns[place] as readonly PlannedColumn[])[i]!.name)));
  }
  return columns;
}

function isPlain({ program, programs }: PlannedService): boolean {
  return programs.length === 1 && program.isPlain;
}

function computed(
  { group, request, asOf, signal }: ColumnWork,
  { programs }: PlannedService,
  inputs: readonly FeatureColumn[],
  from: number,
  rowCount: number,
): Promise<FeatureColumn[]> {
  return computeColumns({
    programs: programs.map(({ program, inputs: places }) => ({
      program,
      inputs: places.map((place) => inputs[place]!),
      request: program.request.map(({ name }) => request.find((column) => column.name === name)!),
    })),
    programOf: group.programOf,
    asOf: asOf!.subarray(from, from + rowCount),
    firstRow: from,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Of rows that have their own times: one join answers them all. Throws as `serviceColumns`. */
export async function* chunksOfParts(work: PartsToCompute): AsyncIterableIterator<SetChunk> {
  const { engine, parts, plan, rowCount } = work;
  for await (const { from, rowCount: count, inputs } of readPartChunks(engine, parts, plan.views, rowCount)) {
    yield { from, rowCount: count, columns: (await serviceColumns(work, inputs, from, count)).flat() };
  }
}

/** Rows of a column. */
export interface RowCounts {
  readonly statuses: Record<StatusName, number>;
  /** Whose window began later than asked. */
  readonly withLaterWindow: number;
}

export const NO_ROWS: RowCounts = {
  statuses: { PRESENT: 0, NULL_VALUE: 0, NOT_FOUND: 0, OUTSIDE_MAX_AGE: 0, ERROR: 0 },
  withLaterWindow: 0,
};

/** Rows by status and window, one record a feature, added up over chunks. */
export class ColumnCounts {
  readonly counts: RowCounts[] = [];

  add(columns: readonly FeatureColumn[]): void {
    for (const [i, column] of columns.entries()) {
      const known = this.counts[i] ?? NO_ROWS;
      const statuses = column.countStatuses();
      for (const name of STATUS_NAMES) statuses[name] += known.statuses[name];
      this.counts[i] = { statuses, withLaterWindow: known.withLaterWindow + column.countLaterWindows() };
    }
  }

  async *counted(chunks: AsyncIterable<SetChunk>): AsyncIterableIterator<SetChunk> {
    for await (const chunk of chunks) {
      this.add(chunk.columns);
      yield chunk;
    }
  }
}
