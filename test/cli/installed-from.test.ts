/** What a new project depends on: the very place that the running package was installed from. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { installedFrom } from "../../src/cli/installed-from.ts";

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "onefold-installed-"));
  mkdirSync(join(project, "node_modules", "onefold"), { recursive: true });
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const root = (): string => join(project, "node_modules", "onefold");

function note(resolved: string): void {
  const packages = { "node_modules/onefold": { version: "0.1.0", resolved } };
  writeFileSync(join(project, "node_modules", ".package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages }));
}

it("is a tarball on disk, as long as that is there", async () => {
  note("file:onefold-0.1.0.tgz");
  expect(await installedFrom(root(), "0.1.0")).toBe("^0.1.0");
  writeFileSync(join(project, "onefold-0.1.0.tgz"), "");
  expect(await installedFrom(root(), "0.1.0")).toBe(`file:${join(project, "onefold-0.1.0.tgz")}`);
});

it("is a repository", async () => {
  note("git+ssh://git@example.com/onefold.git#0123");
  expect(await installedFrom(root(), "0.1.0")).toBe("git+ssh://git@example.com/onefold.git#0123");
});

it("is the registry's version where it came from there, or nothing is noted", async () => {
  expect(await installedFrom(root(), "0.1.0")).toBe("^0.1.0");
  note("https://registry.npmjs.org/onefold/-/onefold-0.1.0.tgz");
  expect(await installedFrom(root(), "0.1.0")).toBe("^0.1.0");
});

it("is the folder of a clone", async () => {
  expect(await installedFrom(project, "0.1.0")).toBe(`file:${project}`);
});
