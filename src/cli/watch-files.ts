/**
 * Waits for files to change, as they do while someone edits them.
 *
 * Their folders are watched, not the files: editors write a new file and rename it over the old one, which a
 * watch on the old one does not live through. Several events in quick succession are one change.
 */
import { dirname, extname, resolve } from "node:path";
import { watch } from "chokidar";

const QUIET_MS = 60;
const MODULE_ENDINGS: ReadonlySet<string> = new Set([".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json"]);

export interface FileWatch {
  /**
   * From now on these files count. With `orNeighbours` so does any other module in their folders: what a file that
   * cannot be loaded imports is not known, and may be just what is missing.
   */
  follow(files: readonly string[], orNeighbours: boolean): void;
  /** Resolves at the next change; at once if there was one since the last call resolved. */
  changed(): Promise<void>;
  close(): Promise<void>;
}

/** Resolves once the folder of `file` is watched. */
export async function watchFiles(file: string): Promise<FileWatch> {
  let files = new Set([resolve(file)]);
  let countsNeighbours = false;
  let hasChanged = false;
  let tell: (() => void) | null = null;
  let quiet: NodeJS.Timeout | undefined;

  const watcher = watch(dirname(resolve(file)), {
    depth: 0,
    ignoreInitial: true,
    ignored: (path, stats) => stats?.isFile() === true && !MODULE_ENDINGS.has(extname(path)),
  });
  watcher.on("all", (_event, path) => {
    if (!files.has(resolve(path)) && !countsNeighbours) return;
    clearTimeout(quiet);
    quiet = setTimeout(() => {
      hasChanged = true;
      tell?.();
    }, QUIET_MS);
  });
  await new Promise<void>((done) => watcher.once("ready", () => done()));

  return {
    follow(paths, orNeighbours): void {
      files = new Set(paths.map((path) => resolve(path)));
      countsNeighbours = orNeighbours;
      watcher.add([...new Set([...files].map(dirname))]);
    },
    async changed(): Promise<void> {
      if (!hasChanged) await new Promise<void>((done) => (tell = done));
      hasChanged = false;
    },
    async close(): Promise<void> {
      clearTimeout(quiet);
      await watcher.close();
    },
  };
}
