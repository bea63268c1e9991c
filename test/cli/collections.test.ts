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

/** Makes what survives a young collection, again and again at the same place of the code. */
const SURVIVES = `
const made = (count) => Array.from({ length: count }, (_, i) => [[i]]);
let kept = [];
for (let round = 0; round < 8; round++) {
  kept = [kept.at(-1), made(60_000)];
}
console.log(kept.length);
`;

describe("a server's whole heap", () => {
  it("is looked at again once it is four times what was left, however slowly memory is used up", () => {
    const told = toldBy(`collectLessOften();\n${LOOKS}`, ["--expose-gc", "--trace-gc-verbose"]);
    const limits = Array.from(told.matchAll(/HeapController\] Limit: old size: (\d+) KB, new limit: (\d+) KB/g));
    expect(limits.length).toBeGreaterThanOrEqual(12);
    for (const [text, left, limit] of limits.slice(-12))
      expect(Number(limit) / Number(left), text).toBeGreaterThan(3.9);
  });

  it("gets nothing that is new, whatever survived of what the same code made before", () => {
    const isMadeOld = /AllocationSite.* => tenure/;
    expect(toldBy(SURVIVES, ["--trace-pretenuring-statistics"])).toMatch(isMadeOld);
    expect(toldBy(`makeYoung();\n${SURVIVES}`, ["--trace-pretenuring-statistics"])).not.toMatch(isMadeOld);
  });
});

/** What V8 says of a script that has what the file exports. */
function toldBy(script: string, flags: readonly string[]): string {
  const { code } = transformSync(readFileSync(FILE, "utf8"), { loader: "ts", format: "esm" });
  const args = [...flags, "--input-type=module", "-e", `${code}\n${script}`];
  return execFileSync(process.execPath, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}
