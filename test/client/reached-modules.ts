/** What is loaded, or only needed to read its types, where a module is imported: however the import is written. */
import { readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { build } from "esbuild";

export interface Reached {
  /** Files by their path under a folder, and other modules by their names, that run once the module is imported. */
  readonly atOnce: readonly string[];
  /** Others that may be loaded later: `import()`, `require`, and what those bring along. */
  readonly later: readonly string[];
  /** All of them, and those of which types alone are taken. */
  readonly withTypes: readonly string[];
  /** Files that load what their text does not name, so that nobody can say what. */
  readonly unnamed: readonly string[];
}

/** `import` and `export ... from`, of values or types, `import()` of either, `require`. */
const NAMED =
  /(?:^|[\n;])\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?["']([^"']+)["']|\b(?:import|require)\(\s*["']([^"']+)["']\s*\)/g;
/** What is computed, and ways to a `require` of one's own. */
const UNNAMED =
  /\b(?:import|require)\((?!\s*["'][^"']*["']\s*\))|\bcreateRequire\b|\bgetBuiltinModule\b|\bnew Worker\b/;

/** `path` is the module's; `folder` its source's. */
export async function reachedFrom(path: string, folder: string): Promise<Reached> {
  const { metafile } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    packages: "external",
    absWorkingDir: folder,
    outfile: resolve(folder, "out.js"),
    logLevel: "silent",
  });
  const all = new Set<string>();
  const atOnce = new Set<string>();
  const visit = (file: string, isAtOnce: boolean): void => {
    if ((isAtOnce ? atOnce : all).has(file)) return;
    all.add(file);
    if (isAtOnce) atOnce.add(file);
    for (const { path: to, kind } of metafile.inputs[file]?.imports ?? []) {
      visit(to, isAtOnce && kind === "import-statement");
    }
  };
  visit(relative(folder, path), true);
  const withTypes = typesToo(path, folder);
  return {
    atOnce: [...atOnce].toSorted(),
    later: [...all].filter((file) => !atOnce.has(file)).toSorted(),
    withTypes: [...withTypes].toSorted(),
    unnamed: [...all].filter((file) => file in metafile.inputs && UNNAMED.test(codeOf(resolve(folder, file)))),
  };
}

function typesToo(entry: string, folder: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    const name = path.startsWith("/") ? relative(folder, path) : path;
    if (seen.has(name)) return;
    seen.add(name);
    if (!path.startsWith("/")) return;
    for (const [, named, called] of codeOf(path).matchAll(NAMED)) {
      const specifier = (named ?? called)!;
      visit(specifier.startsWith(".") ? resolve(dirname(path), specifier) : specifier);
    }
  };
  visit(entry);
  return seen;
}

/** Without comments. */
function codeOf(path: string): string {
  return readFileSync(path, "utf8").replace(/\/\*[^]*?\*\/|(?<![:"'])\/\/.*/g, "");
}
