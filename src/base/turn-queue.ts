/** One work at a time, in the order in which they were asked for. */
export class TurnQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** What `work` gives, once all before it has ended, well or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves once all that was asked for until now has ended, well or not. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
