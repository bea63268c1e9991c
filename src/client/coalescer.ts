/**
 * Gathers what is asked within one turn of the event loop into one call: a hundred `await client.vector(...)`
 * that were begun together cost one round trip.
 */

interface Waiting<Q, A> {
  readonly asked: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

export class Coalescer<Q, A> {
  readonly #batchMax: number;
  readonly #ask: (group: string, asked: readonly Q[]) => Promise<readonly (A | Error)[]>;
  readonly #groups = new Map<string, Waiting<Q, A>[]>();
  #scheduled = false;

  /** `ask` answers the elements of one group in their order; an `Error` among them fails that one alone. */
  constructor(batchMax: number, ask: (group: string, asked: readonly Q[]) => Promise<readonly (A | Error)[]>) {
    this.#batchMax = batchMax;
    this.#ask = ask;
  }

  ask(group: string, asked: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      let waiting = this.#groups.get(group);
      if (waiting === undefined) this.#groups.set(group, (waiting = []));
      waiting.push({ asked, resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    this.#scheduled = false;
    const groups = [...this.#groups];
    this.#groups.clear();
    for (const [group, waiting] of groups) {
      for (let from = 0; from < waiting.length; from += this.#batchMax) {
        void this.#send(group, waiting.slice(from, from + this.#batchMax));
      }
    }
  }

  async #send(group: string, waiting: readonly Waiting<Q, A>[]): Promise<void> {
    try {
      const answers = await this.#ask(
        group,
        waiting.map(({ asked }) => asked),
      );
      waiting.forEach(({ resolve, reject }, i) => {
        const answer = answers[i]!;
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
