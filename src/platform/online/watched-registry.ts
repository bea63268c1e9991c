/**
 * What is registered and fitted, as a server that owns none of it sees it: from the database that several servers share,
 * or from the `registry` folder of a data folder that another process owns, or a copy of one. It is followed, and read
 * anew when it has changed, together with the code.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Definition } from "../../define/definition.ts";
import type { FitStore } from "../../registry/fitted-service.ts";
import type { SharedRegistry } from "../../registry/stored-registry.ts";
import { CodeCheck } from "../code-check.ts";
import { refuseMissing } from "../data-folder.ts";
import { FitWatch } from "../fit-watch.ts";
import { type OpenedRegistry, openRegistry } from "../open-registry.ts";
import { RegistryFollower, troubleText } from "../registry-follower.ts";
import { type CatalogView, ViewCatalog } from "../view-catalog.ts";
import { repeat } from "./repeat.ts";

const LOOK_MILLIS = 1000;

export interface WatchedRegistryOptions {
  readonly dataDir: string;
  /** URL of a PostgreSQL; undefined for the folder's own files. */
  readonly url?: string;
  readonly clock: Clock;
  /** Code for views with functions of their own, or where to get it. */
  readonly definitions: readonly Definition[] | (() => Promise<readonly Definition[]>);
  /** Called when it was read anew, before anyone is served by it. */
  readonly onChanged: () => Promise<void>;
  readonly onError: (error: unknown, work: string) => void;
}

export class WatchedRegistry {
  readonly registry: SharedRegistry;
  readonly fits: FitStore;
  readonly catalog: ViewCatalog;
  readonly code: CodeCheck;
  readonly #opened: OpenedRegistry;
  readonly #options: WatchedRegistryOptions;
  readonly #fitWatch: FitWatch;
  #loaded: readonly Definition[];
  #stamp: string;
  #revision = 0;
  #looking = { stop: () => Promise.resolve() };
  #follower: RegistryFollower | null = null;

  private constructor(
    options: WatchedRegistryOptions,
    read: { opened: OpenedRegistry; loaded: readonly Definition[]; stamp: string },
  ) {
    this.#options = options;
    this.#opened = read.opened;
    this.registry = read.opened.registry;
    this.fits = read.opened.fits;
    this.catalog = new ViewCatalog(this.registry);
    this.code = new CodeCheck(this.registry, {
      revision: () => this.#revision,
      mayLack: read.opened.isShared ? "others" : "never",
    });
    this.#loaded = read.loaded;
    this.#stamp = read.stamp;
    this.#fitWatch = new FitWatch(this.fits, () => (this.#revision += 1));
  }

  /** Throws `DATA_FOLDER_MISSING`, `REGISTRY_CORRUPT`, what a database fails with and what loading the code throws. */
  static async open(options: WatchedRegistryOptions): Promise<WatchedRegistry> {
    const { dataDir, url, clock } = options;
    if (url === undefined) refuseMissing(dataDir);
    const stamp = await stampOf(join(dataDir, "registry"));
    const opened = await openRegistry(dataDir, url, { clock, reader: true });
    try {
      const loaded = await codeOf(options);
      opened.registry.attachCode(loaded);
      return new WatchedRegistry(options, { opened, loaded, stamp });
    } catch (error) {
      await opened.registry.close();
      throw error;
    }
  }

  /** From now on it is followed. */
  watch(): void {
    if (!this.#opened.isShared) this.#looking = repeat(LOOK_MILLIS, () => this.#look());
    else {
      this.#follower = new RegistryFollower(this.registry, {
        isBehind: () => this.registry.isBehind(),
        takeUp: () => this.#takeUp(),
        onTrouble: (trouble) => {
          if (trouble !== null) this.#options.onError(trouble, "reading the registry anew");
        },
      });
    }
  }

  /** Another number whenever something is registered or fitted otherwise. */
  get revision(): number {
    return this.#revision;
  }

  get unreadFits(): number {
    return this.#fitWatch.unread.length;
  }

  /** Whether the database answers; null without one. */
  get isUp(): boolean | null {
    return this.#follower === null ? null : this.#follower.trouble === null;
  }

  get warnings(): readonly string[] {
    return troubleText(this.#follower?.trouble ?? null);
  }

  /** Views that are folded, and that this process has the code of. */
  views(): CatalogView[] {
    return this.registry.sources().flatMap(({ definition }) => this.catalog.computableOn(definition.name));
  }

  async close(): Promise<void> {
    await Promise.all([this.#looking.stop(), this.#follower?.close(), this.#fitWatch.close()]);
    await this.registry.close();
  }

  async #look(): Promise<void> {
    const stamp = await stampOf(this.#opened.folder);
    if (stamp === this.#stamp) return;
    try {
      await this.#takeUp();
      this.#stamp = stamp;
    } catch (error) {
      this.#options.onError(error, "reading the registry anew");
    }
  }

  /** Throws where it could not be read; what was read before is served on then. */
  async #takeUp(): Promise<void> {
    const { onError, onChanged } = this.#options;
    try {
      this.#loaded = await codeOf(this.#options);
    } catch (error) {
      // What was loaded before goes on being served; what is registered otherwise now is refused, view by view.
      onError(error, "loading the definitions again");
    }
    try {
      await this.registry.reload(this.#loaded);
      await onChanged();
    } finally {
      this.#revision += 1;
    }
  }
}

async function codeOf({ definitions }: WatchedRegistryOptions): Promise<readonly Definition[]> {
  return typeof definitions === "function" ? definitions() : definitions;
}

/** Of the file as it is; it is replaced when it changes. */
async function stampOf(folder: string): Promise<string> {
  const found = await stat(join(folder, "registry.json")).catch(() => null);
  return found === null ? "none" : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
