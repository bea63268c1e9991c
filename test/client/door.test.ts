/** `onefold/client` is loaded into other people's programs: what it brings along, however it is imported. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { type Reached, reachedFrom } from "./reached-modules.ts";

const source = fileURLToPath(new URL("../../src", import.meta.url));
/** Errors, and by what they are told apart. */
const COMMON = ["base/errors.ts", "base/disk-full.ts"];

describe("onefold/client", () => {
  it("brings no code of the server along, and no package", async () => {
    const { atOnce, later, unnamed } = await reachedFrom(join(source, "client", "index.ts"), source);
    expect(atOnce.length).toBeGreaterThan(5);
    const isOwn = (path: string): boolean => path.startsWith("client/") || COMMON.includes(path);
    expect(atOnce.filter((path) => !isOwn(path) && !path.startsWith("node:"))).toEqual([]);
    // The one package is asked for where RESP is spoken, by those who have it.
    expect(later).toEqual(["ioredis"]);
    expect(unnamed).toEqual([]);
  });

  it("has types that need nothing of the server either", async () => {
    const { withTypes } = await reachedFrom(join(source, "client", "index.ts"), source);
    const layers = new Set(withTypes.filter((path) => path.endsWith(".ts")).map((path) => path.split("/")[0]));
    expect([...layers].toSorted()).toEqual(["base", "client", "define", "schema"]);
  });
});

describe("what a module reaches", () => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "onefold-reached-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  async function reached(text: string): Promise<Reached> {
    writeFileSync(join(folder, "tsconfig.json"), '{"compilerOptions": {"verbatimModuleSyntax": true}}');
    writeFileSync(join(folder, "index.ts"), text);
    writeFileSync(join(folder, "a.ts"), 'export * from "./b.ts";\nexport const a = 1;\n');
    writeFileSync(join(folder, "b.ts"), "export const b = 1;\nexport type T = number;\n");
    return reachedFrom(join(folder, "index.ts"), folder);
  }
  const AB = ["a.ts", "b.ts", "index.ts"];

  it.each([
    ['import { a } from "./a.ts"; a;', AB, []],
    ['import "./a.ts";', AB, []],
    ['export { a } from "./a.ts";', AB, []],
    ['export * from "./a.ts";', AB, []],
    ['export * as all from "./a.ts";', AB, []],
    // Its module runs, though nothing but a type is taken of it.
    ['import { type T } from "./a.ts"; export type U = T;', AB, []],
    ['import type { T } from "./a.ts"; export type U = T;', ["index.ts"], []],
    ['export type { T } from "./a.ts";', ["index.ts"], []],
    ['export type U = import("./a.ts").T;', ["index.ts"], []],
    ['export const later = () => import("./a.ts");', ["index.ts"], ["a.ts", "b.ts"]],
    ['export const later = () => import("some-package");', ["index.ts"], ["some-package"]],
    ['export const later = () => require("./a.ts");', ["index.ts"], ["a.ts", "b.ts"]],
    ['import { b } from "./b.ts"; b; export const later = () => import("./a.ts");', ["b.ts", "index.ts"], ["a.ts"]],
  ])("of %s", async (text, atOnce, later) => {
    const found = await reached(`${text}\n`);
    expect({ atOnce: found.atOnce, later: found.later, unnamed: found.unnamed }).toEqual({
      atOnce,
      later,
      unnamed: [],
    });
    expect(found.withTypes).toEqual([...new Set([...AB, ...later, ...atOnce])].filter(notAB(text)).toSorted());
  });

  it.each([
    "export const later = (name: string) => import(name);",
    'import { createRequire } from "node:module"; export const later = createRequire(import.meta.url);',
    "export const later = (name: string) => process.getBuiltinModule(name);",
  ])("is not known of %s", async (text) => {
    expect((await reached(text)).unnamed).toEqual(["index.ts"]);
  });
});

/** The files that a text has nothing to do with. */
function notAB(text: string): (path: string) => boolean {
  return (path) => path === "index.ts" || text.includes("./a.ts") || !path.endsWith(".ts");
}
