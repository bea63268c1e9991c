/** docs/INVARIANTS.md: every promise has its number and names tests that exist. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(join(root, "docs", "INVARIANTS.md"), "utf8");

interface Invariant {
  readonly number: number;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

const invariants: Invariant[] = page
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    number: Number(/^(\d+)\. /.exec(section)?.[1]),
    tests: [...section.matchAll(/^- `(test\/[^`]+)`: "(.+)"$/gm)].map((match) => ({
      file: match[1]!,
      title: match[2]!,
    })),
  }));

function holdsTest(file: string, title: string): boolean {
  if (!existsSync(join(root, file))) return false;
  const quoted = [`"${title}"`, `\`${title}\``, `'${title}'`];
  const text = readFileSync(join(root, file), "utf8");
  return quoted.some((name) => text.includes(name));
}

describe("docs/INVARIANTS.md", () => {
  it("numbers the invariants without a gap", () => {
    expect(invariants.map((invariant) => invariant.number)).toEqual(
      Array.from({ length: Math.max(16, invariants.length) }, (_, i) => i + 1),
    );
  });

  it("names a test for each", () => {
    expect(invariants.filter((invariant) => invariant.tests.length === 0)).toEqual([]);
  });

  it("names only tests that exist", () => {
    const missing = invariants
      .flatMap((invariant) => invariant.tests)
      .filter(({ file, title }) => !holdsTest(file, title));
    expect(missing).toEqual([]);
  });
});
