/**
 * What is counted at every vector: how many by service, how long each took, and its values by status.
 */
import { DurationTally } from "./duration-tally.ts";

export class VectorTally {
  /** By service. */
  readonly durations: DurationTally;
  readonly #kept = new Map<string, { vectors: number }>();
  /** That of the last one, as most are of the same service again. */
  #service: string | null = null;
  #keptOfService = { vectors: 0 };
  /** Values by status code. */
  readonly statuses: Float64Array;

  constructor(bounds: readonly number[], statusCount: number) {
    this.durations = new DurationTally(bounds);
    this.statuses = new Float64Array(statusCount);
  }

  add(service: string, seconds: number, statuses: readonly number[], isKept: boolean): void {
    this.durations.add(service, seconds);
    if (isKept) {
      if (service !== this.#service) this.#turnTo(service);
      this.#keptOfService.vectors++;
    }
    for (let i = 0; i < statuses.length; i++) this.statuses[statuses[i]!]!++;
  }

  /** Vectors by service that were answered as they had been read before. */
  kept(service: string): number {
    return this.#kept.get(service)?.vectors ?? 0;
  }

  #turnTo(service: string): void {
    let kept = this.#kept.get(service);
    if (kept === undefined) this.#kept.set(service, (kept = { vectors: 0 }));
    this.#service = service;
    this.#keptOfService = kept;
  }
}
