/**
 * What is counted at every HTTP request: how many by method, route and status, and how long they took by route.
 */
import { DurationTally } from "./duration-tally.ts";

export interface CountedRequests {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  count: number;
}

export class RequestTally {
  /** By route. */
  readonly durations: DurationTally;
  readonly #counted = new Map<string, CountedRequests>();

  constructor(bounds: readonly number[]) {
    this.durations = new DurationTally(bounds);
  }

  /** Routes are the server's own, so that there are only so many. */
  add(method: string, route: string, status: number, seconds: number): void {
    const id = `${method} ${status} ${route}`;
    const counted = this.#counted.get(id);
    if (counted === undefined) this.#counted.set(id, { method, route, status, count: 1 });
    else counted.count++;
    this.durations.add(route, seconds);
  }

  counted(): IterableIterator<CountedRequests> {
    return this.#counted.values();
  }
}
