/**
 * Follows a registry that other servers change, too: takes up what they register, soon after.
 *
 * The database tells of a change; and once a second it is asked, for whoever was not told. While it cannot be
 * asked, what was registered before goes on being served.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { RegistryNews } from "../registry/registry-store.ts";
import type { SharedRegistry } from "../registry/stored-registry.ts";

const INTERVAL_MS = 1000;

export interface FollowerOptions {
  /** Throws what the database fails with: a trouble. */
  isBehind(): Promise<boolean>;
  /** Takes up what is registered now. What it throws is a trouble, and it is called again a second later. */
  takeUp(): Promise<void>;
  /** Told when trouble begins, becomes another, or (null) ends. */
  onTrouble(trouble: OnefoldError | null): void;
}

export class RegistryFollower {
  readonly #options: FollowerOptions;
  readonly #news: RegistryNews;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | null = null;
  #hasNews = false;
  #trouble: OnefoldError | null = null;
  #closed = false;

  /** Close it. */
  constructor(registry: Pick<SharedRegistry, "watch">, options: FollowerOptions) {
    this.#options = options;
    this.#news = registry.watch(() => this.#look());
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    // The doors keep the process alive, not this.
    this.#timer.unref();
    this.#look();
  }

  /** Why what is registered may be newer than what is served; null while it is not. */
  get trouble(): OnefoldError | null {
    return this.#trouble;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#news.close();
    await this.#looking;
  }

  #look(): void {
    if (this.#closed) return;
    if (this.#looking !== null) {
      // What is told meanwhile may be newer than what is read just now.
      this.#hasNews = true;
      return;
    }
    this.#hasNews = false;
    this.#looking = this.#lookNow().finally(() => {
      this.#looking = null;
      if (this.#hasNews) this.#look();
    });
  }

  async #lookNow(): Promise<void> {
    try {
      if (await this.#options.isBehind()) await this.#options.takeUp();
      this.#tell(null);
    } catch (error) {
      this.#tell(asOnefoldError(error));
    }
  }

  #tell(trouble: OnefoldError | null): void {
    const before = this.#trouble;
    this.#trouble = trouble;
    if (before?.code !== trouble?.code) this.#options.onTrouble(trouble);
  }
}

/** For whoever asks whether the server is ready: it is, with what it knows. */
export function troubleText(trouble: OnefoldError | null): string[] {
  if (trouble === null) return [];
  return [`what other servers register is not taken up: ${trouble.code}: ${trouble.message}`];
}
