/**
 * The data folder as `onefold dev` uses it: looked at without a lock as long as nothing is to be registered or
 * served, owned from then on, and looked at beside its owner where it has one.
 *
 * `dev` registers drafts and nothing else, and creates no data folder.
 */
import { isOnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import type { Platform } from "../platform.ts";
import { shownName } from "../registry/definition-set.ts";

export interface DevHouseOptions {
  readonly dataDir: string;
  /** URL of a shared one. */
  readonly registry?: string;
  /** Throws `DATA_FOLDER_MISSING` and `STORAGE_LOCKED` then, rather than looking on. */
  readonly mustOwn: boolean;
}

export class DevHouse {
  readonly #options: DevHouseOptions;
  #owned: Platform | null = null;
  #looking: Platform | null = null;

  constructor(options: DevHouseOptions) {
    this.#options = options;
  }

  get isOwner(): boolean {
    return this.#owned !== null;
  }

  /** The platform for one cycle. Without ownership it is opened anew, and so sees what others have registered. */
  async enter(definitions: readonly Definition[], wantsOwn: boolean): Promise<Platform> {
    if (this.#owned !== null) return this.#owned;
    const { openPlatform } = await import("../platform.ts");
    const { dataDir, registry, mustOwn } = this.#options;
    const place = { dataDir, ...(registry === undefined ? {} : { registry }) };
    await this.#stopLooking();
    this.#looking = await openPlatform({ ...place, mode: "read", create: true });
    if (!wantsOwn && !mustOwn) return this.#looking;
    const usable = usableIn(this.#looking, definitions);
    try {
      this.#owned = await openPlatform({ ...place, mode: "own", create: false, definitions: usable });
    } catch (error) {
      const isHindered =
        isOnefoldError(error) && (error.code === "STORAGE_LOCKED" || error.code === "DATA_FOLDER_MISSING");
      if (mustOwn || !isHindered) throw error;
      return this.#looking;
    }
    await this.#stopLooking();
    return this.#owned;
  }

  async close(): Promise<void> {
    await this.#stopLooking();
    await this.#owned?.close();
    this.#owned = null;
  }

  async #stopLooking(): Promise<void> {
    await this.#looking?.close();
    this.#looking = null;
  }
}

/** Code of what is registered just so: a version that is being edited goes on being served as it was registered. */
function usableIn(platform: Platform, definitions: readonly Definition[]): Definition[] {
  const { changes } = platform.registry.plan(definitions);
  const refused = new Set(
    changes.filter(({ change }) => change === "refuse").map(({ kind, name }) => `${kind} ${name}`),
  );
  return definitions.filter((definition) => !refused.has(`${definition.kind} ${shownName(definition)}`));
}
