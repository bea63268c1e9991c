/**
 * Files of this package by their place in it. What is shipped is bundled (`scripts/bundle.mjs`), so that nothing is to be looked for
 * beside the code that asks.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here: string = fileURLToPath(import.meta.url);

/** The folder of this package; null where its code was bundled into another program, away from it. */
export const PACKAGE_ROOT: string | null = rootAbove(dirname(here));

/** Where this code is of: sources, what was built of them, or neither. */
const tree = ["src", "dist"].find((name) => PACKAGE_ROOT !== null && here.startsWith(join(PACKAGE_ROOT, name) + sep));

/** The file of a module, named as in `src/` without its ending: the source, or what was built. Null as `PACKAGE_ROOT`. */
export function moduleFile(module: string): string | null {
  if (PACKAGE_ROOT === null || tree === undefined) return null;
  const file = join(PACKAGE_ROOT, tree, `${module}.${tree === "src" ? "ts" : "js"}`);
  return existsSync(file) ? file : null;
}

/** The file that a process of its own is to run. Null in sources, too: Node 20 runs no TypeScript. */
export function programFile(module: string): string | null {
  return tree === "src" ? null : moduleFile(module);
}

function rootAbove(folder: string): string | null {
  const manifest = join(folder, "package.json");
  if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, "utf8")) as { name?: unknown }).name === "onefold") {
    return folder;
  }
  const above = dirname(folder);
  return above === folder ? null : rootAbove(above);
}
