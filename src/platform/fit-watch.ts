/**
 * Looks for fits that other processes have stored: `onefold fit` works beside the server, on what is archived, and
 * the server serves what it made a moment later.
 *
 * It looks at the folder again and again, since not every file system tells of changes. Only whole fits are
 * taken up, so what was served goes on until one is.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { FitStore } from "../registry/fitted-service.ts";

const INTERVAL_MS = 1000;

export class FitWatch {
  readonly #fits: FitStore;
  readonly #onAdded: () => void;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #unread: readonly OnefoldError[] = [];
  #closed = false;

  /** `onAdded` is called whenever there are more fits than before. Close it. */
  constructor(fits: FitStore, onAdded: () => void) {
    this.#fits = fits;
    this.#onAdded = onAdded;
    this.#schedule();
  }

  /** What could not be read at the last look: fits that are damaged or half written, or their folder. */
  get unread(): readonly OnefoldError[] {
    return this.#unread;
  }

  /** Waits for a look under way. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look();
    }, INTERVAL_MS);
    // Fits alone keep no process alive.
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      const { added, unread } = await this.#fits.takeUp();
      this.#unread = unread;
      if (added > 0) this.#onAdded();
    } catch (error) {
      const failure = asOnefoldError(error);
      // While a database is away, what was read from it is whole.
      if (failure.code !== "REGISTRY_UNREACHABLE") this.#unread = [failure];
    }
    this.#schedule();
  }
}
