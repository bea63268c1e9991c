/**
 * The columns of a training set as they are written: all at once from memory, or chunk by chunk from parts on disk.
 * Where a service computes beyond the features of views, each chunk goes through its program.
 */
import { STATUS_NAMES, type StatusName } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import { computeColumns } from "./computed-columns.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import type { FeatureParts } from "./feature-parts.ts";
import { readPartChunks } from "./part-chunks.ts";
import type { ServicePlan } from "./service-plan.ts";

export interface SetChunk {
  /** Row of the spine that its first is. */
  readonly from: number;
  readonly rowCount: number;
  /** One a feature, in the order of the vector. */
  readonly columns: readonly FeatureColumn[];
}

export interface PartsToCompute {
  readonly engine: QueryEngine;
  readonly parts: FeatureParts;
  readonly plan: ServicePlan;
  /** Whole columns, by the spine's rows. */
  readonly request: readonly FeatureColumn[];
  /** When each label row is read; null where nothing is computed. */
  readonly asOf: Float64Array | null;
  readonly rowCount: number;
  readonly signal?: AbortSignal;
}

/** Throws what the service's program throws, naming the row, and `CANCELLED`. */
export async function* chunksOfParts(work: PartsToCompute): AsyncIterableIterator<SetChunk> {
  const { engine, parts, plan, request, asOf, rowCount, signal } = work;
  const { program, programs } = plan;
  for await (const { from, rowCount: count, inputs } of readPartChunks(engine, parts, plan.views, rowCount)) {
    const columns =
      asOf === null
        ? inputs
        : await computeColumns({
            programs: [
              {
                program,
                inputs: programs[0]!.inputs.map((place) => inputs[place]!),
                request: program.request.map(({ name }) => request.find((column) => column.name === name)!),
              },
            ],
            programOf: null,
            asOf: asOf.subarray(from, from + count),
            firstRow: from,
            ...(signal === undefined ? {} : { signal }),
          });
    yield { from, rowCount: count, columns };
  }
}

export const NO_STATUSES: Readonly<Record<StatusName, number>> = {
  PRESENT: 0,
  NULL_VALUE: 0,
  NOT_FOUND: 0,
  OUTSIDE_MAX_AGE: 0,
  ERROR: 0,
};

/** Rows by status, one record a feature, added up over chunks. */
export class StatusCounts {
  readonly counts: Record<StatusName, number>[] = [];

  add(columns: readonly FeatureColumn[]): void {
    for (const [i, column] of columns.entries()) {
      const more = column.countStatuses();
      const known = this.counts[i];
      if (known === undefined) this.counts[i] = more;
      else for (const name of STATUS_NAMES) known[name] += more[name];
    }
  }

  async *counted(chunks: AsyncIterable<SetChunk>): AsyncIterableIterator<SetChunk> {
    for await (const chunk of chunks) {
      this.add(chunk.columns);
      yield chunk;
    }
  }
}
