/**
 * Waits for files to change, as they do while someone edits them.
 *
 * Their folders are watched, not the files: editors write a new file and rename it over the old one, which a
 * watch on the old one does not live through. Several events in quick succession are one change.
 */
import { stat } from "node:fs/promises";
import { dirname, extname, resolve } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import type { Micros } from "../base/micros.ts";

const QUIET_MS = 60;
const MODULE_ENDINGS: ReadonlySet<string> = new Set([".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json"]);
/** Files are stamped by a clock that ticks no finer than this. */
const STAMP_MICROS = 10_000;

export class FileWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  #files: ReadonlySet<string> = new Set();
  #countsNeighbours = false;
  #hasChanged = false;
  #tell: (() => void) | null = null;
  #quiet: NodeJS.Timeout | undefined;

  /**
   * From now on these files count; resolves once their folders are watched. One that did not count before and was
   * changed after `since`, when it was about to be read, counts as changed now.
   *
   * With `orNeighbours` so does any other module in their folders: what a file that cannot be loaded imports is not
   * known, and may be just what is missing.
   */
  async follow(files: readonly string[], since: Micros, orNeighbours: boolean): Promise<void> {
    const before = this.#files;
    this.#files = new Set(files.map((file) => resolve(file)));
    this.#countsNeighbours = orNeighbours;
    const folders = new Set([...this.#files].map((file) => dirname(file)));
    await Promise.all([...folders].map((folder) => this.#watchFolder(folder)));
    for (const file of this.#files) {
      if (before.has(file)) continue;
      const found = await stat(file).catch(() => null);
      if (found !== null && found.mtimeMs * 1000 + STAMP_MICROS > since) this.#hasChanged = true;
    }
  }

  /** Resolves at the next change; at once if there was one since the last call resolved. */
  async changed(): Promise<void> {
    if (!this.#hasChanged) await new Promise<void>((done) => (this.#tell = done));
    this.#hasChanged = false;
  }

  async close(): Promise<void> {
    clearTimeout(this.#quiet);
    await Promise.all([...this.#watchers.values()].map((watcher) => watcher.close()));
  }

  async #watchFolder(folder: string): Promise<void> {
    if (this.#watchers.has(folder)) return;
    const watcher = watch(folder, {
      depth: 0,
      ignoreInitial: true,
      ignored: (path, stats) => stats?.isFile() === true && !MODULE_ENDINGS.has(extname(path)),
    });
    this.#watchers.set(folder, watcher);
    watcher.on("all", (_event, path) => this.#see(resolve(path)));
    await new Promise<void>((done) => watcher.once("ready", () => done()));
  }

  #see(path: string): void {
    if (!this.#files.has(path) && !this.#countsNeighbours) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      this.#hasChanged = true;
      this.#tell?.();
    }, QUIET_MS);
  }
}
