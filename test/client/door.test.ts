import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const source = fileURLToPath(new URL("../../src", import.meta.url));

/** Files that run when `path` is imported: types leave nothing behind. */
function reached(path: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = readFileSync(path, "utf8");
  for (const [, names = "", specifier = ""] of text.matchAll(
    /^(?:import|export) (?!type\b)([^"']*?)from "([^"]+)";$/gms,
  )) {
    const isTypesOnly =
      /^\{[^}]*\}\s*$/.test(names) &&
      names
        .replace(/[{}\s]/g, "")
        .split(",")
        .every((one) => one === "" || one.startsWith("type"));
    if (isTypesOnly) continue;
    if (specifier.startsWith(".")) reached(resolve(dirname(path), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

describe("onefold/client", () => {
  it("brings no code of the server along, and no package", () => {
    const files = [...reached(join(source, "client", "index.ts"))].map((path) =>
      path.startsWith("/") ? relative(source, path) : path,
    );
    expect(files.length).toBeGreaterThan(5);
    // Errors, and by what they are told apart.
    const common = ["base/errors.ts", "base/disk-full.ts"];
    expect(
      files.filter((path) => !path.startsWith("client/") && !common.includes(path) && !path.startsWith("node:")),
    ).toEqual([]);
  });
});
