/**
 * Modules of a bundle that import each other. One of them runs before the other has defined what it exports: that is undefined
 * there, which is what then fails.
 */
import type { Metafile } from "esbuild";

/** The modules in a circle, in the order of their names; none of packages. */
export function importCircle({ inputs }: Pick<Metafile, "inputs">): string[] {
  const own = Object.keys(inputs).filter((path) => !path.includes("node_modules"));
  return own.filter((path) => reaches(inputs, path)).sort();
}

function reaches(inputs: Metafile["inputs"], start: string): boolean {
  const seen = new Set<string>();
  const open = [start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const { path: imported } of inputs[path]?.imports ?? []) {
      if (imported === start) return true;
      if (seen.has(imported)) continue;
      seen.add(imported);
      open.push(imported);
    }
  }
  return false;
}

export function circleHint(circle: readonly string[]): string {
  const names = `${circle.slice(0, -1).join(", ")} and ${circle.at(-1)}`;
  return `${names} import each other, so one runs before another has defined what it exports: move what both need into a module of its own`;
}
