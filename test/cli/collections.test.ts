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

/** Makes 400 MB of objects in turns, of which each lives through many of them: V8 would have 16 MB for what is new by then. */
const MAKES = `
const living = [];
for (let turn = 0; turn < 400; turn++) {
  living[turn % 40] = Array.from({ length: 20_000 }, (_, i) => ({ i }));
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(newSpaceBytes() / 1024 / 1024);
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

const LIMIT = /HeapController\] Limit: old size: (\d+) KB, new limit: (\d+) KB/g;
/** "maybe" where V8 has not come to the end of it yet. */
const IS_MADE_OLD = /AllocationSite.* => (maybe )?tenure/;

describe("a server's heap", () => {
  it("is looked at as a whole again once it is four times what was left, however slowly memory is used up", () => {
    const told = run(`collectBriefly();\n${LOOKS}`, "--expose-gc", "--trace-gc-verbose");
    const limits = Array.from(told.matchAll(LIMIT));
    expect(limits.length).toBeGreaterThanOrEqual(12);
    for (const [text, left, limit] of limits.slice(-12))
      expect(Number(limit) / Number(left), text).toBeGreaterThan(3.9);
  });

  it("has two halves of 4 MB for what is new, or one step more, however much of that lives on", () => {
    expect(Number(run(MAKES))).toBeGreaterThanOrEqual(32);
    // A turn that made very much when there was less may have had it grow twice.
    expect(Number(run(`collectBriefly();\n${MAKES}`))).toBeLessThanOrEqual(16);
  });

  it.each([
    ["--max-semi-space-size=32"],
    ["--max_semi_space_size=32"],
    ["--min-semi-space-size=2"],
    ["--semi-space-growth-factor=4"],
    [`NODE_OPTIONS=--max-semi-space-size=32`],
    [`NODE_OPTIONS=--no-warnings "--max_semi_space_size=32"`],
  ])("has for what is new what whoever started it has set: %s", (flag) => {
    expect(Number(run(`collectBriefly();\n${MAKES}`, flag))).toBeGreaterThanOrEqual(32);
  });

  it("is looked at as a whole, and gets what is new, as whoever started it has set", () => {
    const told = run(`collectBriefly();\n${LOOKS}`, "--heap_growing_percent=100", "--expose-gc", "--trace-gc-verbose");
    const [, left, limit] = Array.from(told.matchAll(LIMIT)).at(-1)!;
    expect(Number(limit) / Number(left)).toBeLessThan(2.5);
    const survives = [`collectBriefly();\n${SURVIVES}`, "--trace-pretenuring-statistics"] as const;
    expect(run(...survives, "--allocation-site-pretenuring")).toMatch(IS_MADE_OLD);
  });

  it("gets nothing that is new among what is old, whatever survived of what the same code made before", () => {
    expect(run(SURVIVES, "--trace-pretenuring-statistics")).toMatch(IS_MADE_OLD);
    expect(run(`collectBriefly();\n${SURVIVES}`, "--trace-pretenuring-statistics")).not.toMatch(IS_MADE_OLD);
  });
});

/** With flags of Node's, or of its environment: `NODE_OPTIONS=...`. */
function run(script: string, ...given: readonly string[]): string {
  const isEnvironment = (one: string): boolean => one.startsWith("NODE_OPTIONS=");
  const flags = given.filter((one) => !isEnvironment(one));
  const inEnvironment = given.filter(isEnvironment).map((one) => ["NODE_OPTIONS", one.replace("NODE_OPTIONS=", "")]);
  const { code } = transformSync(readFileSync(FILE, "utf8"), { loader: "ts", format: "esm" });
  const text = `${code}\n${script}`;
  return execFileSync(process.execPath, [...flags, "--input-type=module", "-e", text], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, ...Object.fromEntries(inEnvironment) },
  });
}
