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
  /** The last one that was counted: most of what comes is of the same route again, and needs no name of its own. */
  #last: CountedRequests | null = null;

  constructor(bounds: readonly number[]) {
    this.durations = new DurationTally(bounds);
  }

  /** Routes are the server's own, so that there are only so many. */
  add(method: string, route: string, status: number, seconds: number): void {
    let counted = this.#last;
    if (counted === null || counted.route !== route || counted.status !== status || counted.method !== method) {
      counted = this.#of(method, route, status);
      this.#last = counted;
    }
    counted.count++;
    this.durations.add(route, seconds);
  }

  #of(method: string, route: string, status: number): CountedRequests {
    const id = `${method} ${status} ${route}`;
    let counted = this.#counted.get(id);
    if (counted === undefined) this.#counted.set(id, (counted = { method, route, status, count: 0 }));
    return counted;
  }

  counted(): IterableIterator<CountedRequests> {
    return this.#counted.values();
  }
}
