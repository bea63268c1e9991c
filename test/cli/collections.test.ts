import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { describe, expect, it } from "vitest";

const FILE = join(import.meta.dirname, "..", "..", "src", "cli", "collections.ts");

/** Looks for garbage where hardly any comes: V8 would soon look again by itself. */
const LOOKS = `
const stay = Array.from({ length: 300_000 }, (_, i) => ({ i }));
for (let look = 0; look < 12; look++) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  globalThis.gc();
}
console.log(stay.length);
`;

describe("a server's whole heap", () => {
  it("is looked at again once it is four times what was left, however slowly memory is used up", () => {
    const { code } = transformSync(readFileSync(FILE, "utf8"), { loader: "ts", format: "esm" });
    const script = `${code}\ncollectLessOften();\n${LOOKS}`;
    const flags = ["--expose-gc", "--trace-gc-verbose", "--input-type=module"];
    const told = execFileSync(process.execPath, [...flags, "-e", script], { encoding: "utf8" });
    const limits = Array.from(told.matchAll(/HeapController\] Limit: old size: (\d+) KB, new limit: (\d+) KB/g));
    expect(limits.length).toBeGreaterThanOrEqual(12);
    for (const [text, left, limit] of limits.slice(-12))
      expect(Number(limit) / Number(left), text).toBeGreaterThan(3.9);
  });
});
