/**
 * Lets pushes to a source through, but for moments in which they wait.
 */
export class PushGate {
  readonly #isPushing: () => boolean;
  #closed: { readonly opened: Promise<void>; open(): void } | null = null;

  /** `isPushing`: whether one that was let through is still under way. */
  constructor(isPushing: () => boolean) {
    this.#isPushing = isPushing;
  }

  /**
   * What to wait for before looking again; null where it is open. Whoever finds it open must push in the same turn, or it
   * may have been closed meanwhile.
   */
  get opening(): Promise<void> | null {
    return this.#closed?.opened ?? null;
  }

  /** Resolves once no push is under way; those that come wait until it is opened. */
  async close(): Promise<void> {
    if (this.#closed === null) {
      let open!: () => void;
      const opened = new Promise<void>((resolve) => {
        open = resolve;
      });
      this.#closed = { opened, open };
    }
    while (this.#isPushing()) await new Promise((resolve) => setImmediate(resolve));
  }

  open(): void {
    this.#closed?.open();
    this.#closed = null;
  }

  /** Pushes wait until `work` is done. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.close();
      return await work();
    } finally {
      this.open();
    }
  }
}
