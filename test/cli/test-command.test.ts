/** `onefold test`, in a project as init writes it and in one that is broken. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-test-command-")));
const project = join(folder, "shop");
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  const { exitCode } = await runCli(["init", "shop"], folder);
  if (exitCode !== 0) throw new Error("onefold init failed");
});

function write(files: Readonly<Record<string, string>>): string {
  const other = mkdtempSync(join(folder, "other-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(other, name)), { recursive: true });
    writeFileSync(join(other, name), text);
  }
  return other;
}

describe("onefold test", () => {
  it("is what npm test runs in a fresh project, and passes", () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "onefold"), `#!/bin/sh\nexec "${process.execPath}" "${cliPath}" "$@"\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}` };
    const { status, stdout, stderr } = spawnSync("npm", ["test"], { cwd: project, env, encoding: "utf8" });
    expect(stdout + stderr).toContain("lets no payment in that pays nothing");
    expect(stdout).toMatch(/pass 4\n.*fail 0/);
    expect(status).toBe(0);
  });

  it("keeps a test script that is there, but not npm's placeholder", async () => {
    const scriptOf = async (test: string): Promise<unknown> => {
      const other = write({ "package.json": JSON.stringify({ scripts: { test, build: "make" } }) });
      expect((await runCli(["init"], other)).exitCode).toBe(0);
      return JSON.parse(readFileSync(join(other, "package.json"), "utf8")).scripts;
    };
    expect(await scriptOf("vitest run")).toEqual({ test: "vitest run", build: "make", check: "tsc --noEmit" });
    expect(await scriptOf('echo "Error: no test specified" && exit 1')).toMatchObject({ test: "onefold test" });
  });

  it("says what failed with the line of the TypeScript file, exits with 1, and leaves nothing behind", async () => {
    const wrong = readFileSync(join(project, "features.test.ts"), "utf8").replace("payments_1h: 2", "payments_1h: 3");
    writeFileSync(join(project, "wrong.test.ts"), wrong);
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith("onefold-tests-"));
    const { exitCode, stdout } = await runCli(["test", "wrong.test.ts"], project);
    expect(exitCode).toBe(1);
    expect(stdout).toContain("payments_1h: expected 3, got 2");
    const line = wrong.split("\n").findIndex((text) => text.includes("payments_1h: 3")) + 1;
    expect(stdout).toContain(`wrong.test.ts:${line}:`);
    const named = await runCli(["test", "wrong.test.ts", "--name", "keeps the users"], project);
    expect(named.exitCode).toBe(0);
    const json = await runJson(["test", "wrong.test.ts"], project);
    expect(json).toEqual({ exitCode: 1, result: { passed: false, files: ["wrong.test.ts"] } });
    expect((await runJson(["test", "features.test.ts"], project)).result["passed"]).toBe(true);
    // Other tests make such folders meanwhile, and remove them.
    const made = readdirSync(tmpdir()).filter((name) => name.startsWith("onefold-tests-") && !before.includes(name));
    await expect.poll(() => made.filter((name) => existsSync(join(tmpdir(), name)))).toEqual([]);
  });

  it("finds tests in folders, resolves packages beside the test, and knows where the test stands", async () => {
    const other = write({
      "deep/er/a.test.ts": `import test from "node:test";
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { name } from "a-package";
import { double } from "../double.ts";
test("a", () => {
  assert.equal(double(name.length), 2);
  assert.equal(readFileSync(new URL("data.txt", import.meta.url), "utf8"), "data");
  assert.match(import.meta.filename, /a\\.test\\.ts$/);
});
`,
      "deep/er/data.txt": "data",
      "deep/double.ts": "export const double = (x: number): number => x * 2;",
      "b.test.mjs": 'import test from "node:test";\ntest("b", () => {});\n',
      "node_modules/a-package/package.json": '{ "name": "a-package", "type": "module", "exports": "./index.js" }',
      "node_modules/a-package/index.js": 'export const name = "x";',
      "node_modules/a-package/c.test.js": "throw new Error('not ours');",
    });
    expect(await runJson(["test"], other)).toEqual({
      exitCode: 0,
      result: { passed: true, files: ["b.test.mjs", "deep/er/a.test.ts"] },
    });
  });

  it("refuses with file and line what cannot be bundled, and says where there is no test", async () => {
    const broken = await runJson(["test"], write({ "a.test.ts": "\nconst = 1;\n" }));
    expect(broken).toMatchObject({ exitCode: 1, result: { error: { code: "DEFINITION_UNREADABLE" } } });
    expect(broken.result["error"]["where"]).toMatch(/a\.test\.ts:2$/);
    const missing = await runJson(["test"], write({ "a.test.ts": 'import "no-such-package";\n' }));
    expect(missing.result["error"]["message"]).toContain("no-such-package");
    expect((await runJson(["test"], write({}))).result["error"]["hint"]).toContain("docs/testing.md");
    expect((await runJson(["test", "gone.test.ts"], project)).result["error"]["code"]).toBe("FILE_UNREADABLE");
  });
});
