/**
 * A test file as one ES module, so that tests of features run under `node --test` on every Node version
 * without a loader: the project's modules are bundled and their types removed, packages stay where they are,
 * and `onefold` is this very package, whose door the definitions were made at.
 */
import { isBuiltin } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type BuildFailure, type Plugin } from "esbuild";
import { COMMON, DOOR_URL, requireOf, unreadable } from "./load-definitions.ts";

const DOORS: Readonly<Record<string, string>> = {
  onefold: DOOR_URL,
  "onefold/testing": new URL(DOOR_URL.endsWith(".ts") ? "testing/index.ts" : "testing/index.js", DOOR_URL).href,
};

/** A package stays outside, under the place where the importing file finds it: the bundle lies elsewhere. */
const packagesByPlace: Plugin = {
  name: "packages",
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === ASKED || kind === "entry-point" || isBuiltin(path)) return undefined;
      const door = DOORS[path];
      if (door !== undefined) return { path: door, external: true };
      const found = await builder.resolve(path, { kind, importer, resolveDir, pluginData: ASKED });
      // An error, or a name that tsconfig maps to a file of the project.
      if (found.errors.length > 0 || !found.path.includes("node_modules")) return found;
      return { path: pathToFileURL(found.path).href, external: true };
    });
  },
};
const ASKED: object = {};

/** Writes the bundle of `file` to `outfile`. Throws `DEFINITION_UNREADABLE` with file and line. */
export async function bundleTest(file: string, outfile: string): Promise<void> {
  const url = pathToFileURL(file).href;
  await build({
    ...COMMON,
    entryPoints: [file],
    absWorkingDir: dirname(file),
    outfile,
    sourcemap: "inline",
    // Without "module", a condition that only bundlers know.
    conditions: [],
    plugins: [packagesByPlace],
    define: {
      "import.meta.url": JSON.stringify(url),
      "import.meta.filename": JSON.stringify(fileURLToPath(url)),
      "import.meta.dirname": JSON.stringify(dirname(file)),
    },
    banner: { js: requireOf(file) },
  }).catch((failure: BuildFailure) => {
    throw unreadable(file, failure);
  });
}
