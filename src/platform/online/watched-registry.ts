/**
 * What is registered and fitted, from the `registry` folder of a data folder that another process owns, or a copy of one:
 * looked at every second, and read anew when it has changed, together with the code.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Definition } from "../../define/definition.ts";
import { openFileRegistry, type SharedRegistry } from "../../registry/file-registry.ts";
import { openFitStore } from "../../registry/fit-files.ts";
import type { FitStore } from "../../registry/fitted-service.ts";
import { refuseMissing } from "../data-folder.ts";
import { FitWatch } from "../fit-watch.ts";
import { type CatalogView, ViewCatalog } from "../view-catalog.ts";
import { repeat } from "./repeat.ts";

const LOOK_MILLIS = 1000;

export interface WatchedRegistryOptions {
  readonly dataDir: string;
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
  readonly #folder: string;
  readonly #options: WatchedRegistryOptions;
  readonly #fitWatch: FitWatch;
  #loaded: readonly Definition[];
  #stamp: string;
  #revision = 0;
  #looking = { stop: () => Promise.resolve() };

  private constructor(
    options: WatchedRegistryOptions,
    read: { folder: string; registry: SharedRegistry; fits: FitStore; loaded: readonly Definition[]; stamp: string },
  ) {
    this.#options = options;
    this.#folder = read.folder;
    this.registry = read.registry;
    this.fits = read.fits;
    this.catalog = new ViewCatalog(read.registry);
    this.#loaded = read.loaded;
    this.#stamp = read.stamp;
    this.#fitWatch = new FitWatch(read.fits, () => (this.#revision += 1));
  }

  /** Throws `DATA_FOLDER_MISSING`, `REGISTRY_CORRUPT`, and what loading the code throws. */
  static async open(options: WatchedRegistryOptions): Promise<WatchedRegistry> {
    const { dataDir, clock } = options;
    refuseMissing(dataDir);
    const folder = join(dataDir, "registry");
    const stamp = await stampOf(folder);
    const registry = await openFileRegistry(folder, { clock });
    const loaded = await codeOf(options);
    registry.attachCode(loaded);
    const fits = await openFitStore(folder);
    return new WatchedRegistry(options, { folder, registry, fits, loaded, stamp });
  }

  /** From now on it is looked at. */
  watch(): void {
    this.#looking = repeat(LOOK_MILLIS, () => this.#look());
  }

  /** Another number whenever something is registered or fitted otherwise. */
  get revision(): number {
    return this.#revision;
  }

  get unreadFits(): number {
    return this.#fitWatch.unread.length;
  }

  /** Views that are folded, and that this process has the code of. */
  views(): CatalogView[] {
    const streams = this.registry.sources().filter(({ definition }) => definition.kind === "stream");
    return streams.flatMap(({ definition }) => this.catalog.computableOn(definition.name));
  }

  async close(): Promise<void> {
    await Promise.all([this.#looking.stop(), this.#fitWatch.close()]);
  }

  async #look(): Promise<void> {
    const { onError, onChanged } = this.#options;
    const stamp = await stampOf(this.#folder);
    if (stamp === this.#stamp) return;
    try {
      this.#loaded = await codeOf(this.#options);
    } catch (error) {
      // What was loaded before goes on being served; what is registered otherwise now is refused, view by view.
      onError(error, "loading the definitions again");
    }
    try {
      await this.registry.reload(this.#loaded);
      await onChanged();
      this.#stamp = stamp;
    } catch (error) {
      onError(error, "reading the registry anew");
    }
    this.#revision += 1;
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
