/**
 * The built command line once more, in `.cache/cli/`, in few files: a process that starts from `dist/` spends a second of the
 * processor on reading nine hundred, and the tests start hundreds. What is shipped is `dist/`: tests that say so start that.
 */
import { readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { root } from "./setup.mjs";

const from = join(root, "dist");
const to = join(root, ".cache", "cli");
/** What is run, by its name: as a program of its own, as a thread, or as the door of definitions. */
const PROGRAMS = [
  "cli/main.js",
  "index.js",
  "base/starter-process.js",
  "offline-store/engine-process.js",
  "platform/fold-process.js",
  "training/join-thread.js",
];
/** Who looks for them beside itself. All others find what they look for beside their file in `dist/`. */
const STARTERS = new Set([
  "base/process-starter.js",
  "cli/load-definitions.js",
  "cli/program-path.js",
  "offline-store/engine-apart.js",
  "platform/fold-apart.js",
  "training/join-threads.js",
]);

/** A file that has become a part of another is asked for its place all the same. */
const places = {
  name: "places",
  setup(builder) {
    builder.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const name = relative(from, path).replaceAll("\\", "/");
      if (name.startsWith("..")) return undefined;
      const url = JSON.stringify(pathToFileURL(join(STARTERS.has(name) ? to : from, name)).href);
      const text = readFileSync(path, "utf8");
      // In quotes it is a name that another bundle is told.
      return { contents: text.replaceAll(/(?<!["'])import\.meta\.url(?!["'])/g, url), loader: "js" };
    });
  },
};

rmSync(to, { recursive: true, force: true });
await build({
  entryPoints: PROGRAMS.map((name) => join(from, name)),
  outbase: from,
  outdir: to,
  bundle: true,
  splitting: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  plugins: [places],
  logLevel: "warning",
});
