/**
 * Which views of a source are brought up, and when: at once, behind whatever asks for a change first, or once the archive's table,
 * which they are computed from, is no longer refused.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import type { TurnQueue } from "../base/turn-queue.ts";
import { ignoreRefusal, isTableRefused } from "../offline-store/refused-table.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { OnProgress } from "./runtime-context.ts";
import type { SourceParts } from "./source-parts.ts";
import type { CatalogView } from "./view-catalog.ts";

export interface BuiltSourceParts {
  readonly parts: SourceParts;
  /** Of what changes views or history. */
  readonly turns: TurnQueue;
  /** As of `SourceRuntime`. */
  waitsFor(): OnefoldError | null;
}

export class SourceBuilding {
  readonly #source: BuiltSourceParts;
  #failure: OnefoldError | null = null;
  #queued: readonly string[] = [];
  /** Whether views may lack what is in the archive, and are to be brought up once its table can be read. */
  #lacksHistory = false;

  constructor(source: BuiltSourceParts) {
    this.#source = source;
  }

  /** Why views could not be built in the background, or null. */
  get failure(): OnefoldError | null {
    return this.#failure;
  }

  /** Views that will be built, `view name@version`. */
  get queued(): readonly string[] {
    return this.#queued;
  }

  /** To be called where the source is opened anew. */
  forgetFailure(): void {
    this.#failure = null;
  }

  /** Views may lack what is in the archive, and are brought up within a second, or once its table can be read. */
  lacksHistory(): void {
    this.#lacksHistory = true;
  }

  /** To be called once a second. */
  tick(): void {
    const { parts, waitsFor } = this.#source;
    if (this.#lacksHistory && parts.archive.refusal === null && waitsFor() === null) void this.#bringUpRestored();
  }

  /** `isBehind`: what takes long is done behind whatever comes first. */
  async bringUpAll(isBehind: boolean, onProgress?: OnProgress): Promise<void> {
    const views = this.#source.parts.views();
    if (isBehind) await this.#bringUpBehind(views);
    else await this.bringUp(views, onProgress);
  }

  /**
   * Those that run already go on, where the archive's table is refused; whether they lack anything is seen once it is restored.
   * Throws `TABLE_INVALID` for one that does not run.
   */
  async bringUp(views: readonly CatalogView[], onProgress?: OnProgress): Promise<void> {
    const { parts, waitsFor } = this.#source;
    try {
      // None is brought up to where the others stand before what they wait for is folded.
      const waiting = waitsFor();
      if (waiting !== null) throw waiting;
      await parts.bringUp(views, onProgress);
    } catch (error) {
      if (!isTableRefused(error)) throw error;
      this.#queued = parts.missing(views);
      this.#lacksHistory = true;
      if (this.#queued.length > 0) throw error;
    }
  }

  /** What could not be brought up, now that the table can be read, as far as is known. */
  #bringUpRestored(): Promise<void> {
    const { parts, turns } = this.#source;
    this.#lacksHistory = false;
    return turns
      .take(async () => {
        await parts.takeUpHistory();
        await this.bringUpAll(true);
      })
      .catch((error: unknown) => {
        if (isTableRefused(error)) this.#lacksHistory = true;
        else this.#failure = asOnefoldError(error);
      });
  }

  /** Views that have no event to be computed from at once, the others behind whatever asks for a change first. */
  async #bringUpBehind(views: readonly CatalogView[]): Promise<void> {
    const { parts, turns } = this.#source;
    const files = await parts.archive.files().catch(ignoreRefusal);
    if (files === undefined || (files.historyEnd === HISTORY_BASE && files.liveEnd === 0)) return this.bringUp(views);
    this.#queued = parts.missing(views);
    const building = turns
      .take(() => this.bringUp(views))
      .finally(() => {
        if (!this.#lacksHistory) this.#queued = [];
      });
    building.catch((error: unknown) => {
      if (!parts.closing.signal.aborted && !isTableRefused(error)) this.#failure = asOnefoldError(error);
    });
  }
}
