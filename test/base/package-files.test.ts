import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import type * as packageFiles from "../../src/base/package-files.ts";
import { moduleFile, PACKAGE_ROOT, programFile } from "../../src/base/package-files.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "onefold-package-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type PackageFiles = typeof packageFiles;

async function bundledAs(outfile: string): Promise<PackageFiles> {
  await build({
    entryPoints: [join(root, "src/base/package-files.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
  });
  return (await import(pathToFileURL(outfile).href)) as PackageFiles;
}

describe("files of the package", () => {
  it("are the sources, of which none is a program that Node 20 runs", () => {
    expect(PACKAGE_ROOT).toBe(root);
    expect(moduleFile("cli/main")).toBe(join(root, "src/cli/main.ts"));
    expect(moduleFile("cli/maim")).toBeNull();
    expect(programFile("cli/main")).toBeNull();
  });

  it("are what was built, wherever in it the code that asks was bundled", async () => {
    const home = join(folder, "node_modules", "onefold");
    mkdirSync(join(home, "dist", "cli"), { recursive: true });
    writeFileSync(join(home, "package.json"), '{"name":"onefold","type":"module"}');
    writeFileSync(join(home, "dist/cli/main.js"), "");
    const files = await bundledAs(join(home, "dist/chunks/deep/chunk-1.js"));
    expect(files.PACKAGE_ROOT).toBe(home);
    expect(files.moduleFile("cli/main")).toBe(join(home, "dist/cli/main.js"));
    expect(files.programFile("cli/main")).toBe(join(home, "dist/cli/main.js"));
    expect(files.programFile("cli/maim")).toBeNull();
  });

  it("are none where the code was bundled into another program", async () => {
    writeFileSync(join(folder, "package.json"), '{"name":"shop","type":"module"}');
    const files = await bundledAs(join(folder, "dist/shop.js"));
    expect(files.PACKAGE_ROOT).toBeNull();
    expect(files.moduleFile("cli/main")).toBeNull();
    expect(files.programFile("cli/main")).toBeNull();
  });
});
