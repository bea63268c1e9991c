/**
 * What is counted at every vector: how many by service, how long each took, and its values by status.
 */
import { DurationTally } from "./duration-tally.ts";

export class VectorTally {
  /** By service. */
  readonly durations: DurationTally;
  /** Vectors by service that were answered as they had been read before. */
  readonly kept: Map<string, number> = new Map();
  /** Values by status code. */
  readonly statuses: Float64Array;

  constructor(bounds: readonly number[], statusCount: number) {
    this.durations = new DurationTally(bounds);
    this.statuses = new Float64Array(statusCount);
  }

  add(service: string, seconds: number, statuses: readonly number[], isKept: boolean): void {
    this.durations.add(service, seconds);
    if (isKept) this.kept.set(service, (this.kept.get(service) ?? 0) + 1);
    for (let i = 0; i < statuses.length; i++) this.statuses[statuses[i]!]!++;
  }
}
