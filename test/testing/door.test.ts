/** `onefold/testing` as its users meet it: light, and at home under any test runner. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "onefold-testing-door-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(() => {
  if (!existsSync(join(root, "dist/testing/index.js"))) throw new Error("dist/ is not built: run `npm run build`");
});

function node(args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, env, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

describe("onefold/testing", () => {
  it("imports nothing but what Node brings along: no store, no engine, no server", async () => {
    const { metafile } = await build({
      entryPoints: [join(root, "src/testing/index.ts")],
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      packages: "external",
    });
    const imported = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
    const isOfNode = (path: string): boolean => builtinModules.includes(path.replace(/^node:/, ""));
    expect(imported.length).toBeGreaterThan(0);
    expect(imported.filter((path) => !isOfNode(path))).toEqual([]);
  });

  it("loads in a fraction of the time that the whole platform takes", () => {
    const millisOf = (door: string): number => {
      const url = JSON.stringify(join(root, "dist", door));
      const script = `const start = performance.now(); await import(${url}); console.log(performance.now() - start);`;
      return Math.min(...[1, 2, 3].map(() => Number(node(["--input-type=module", "-e", script]).output)));
    };
    // 40 and 20 ms against 300 ms alone on the machine; the ratio holds on a busy one, too
    const platform = readdirSync(join(root, "dist/chunks")).find((name) => /^platform-.*\.js$/.test(name))!;
    const platformMillis = millisOf(`chunks/${platform}`);
    expect(millisOf("testing/index.js")).toBeLessThan(platformMillis / 3);
    // What defines features is all that is loaded of the whole, until something is opened.
    expect(millisOf("index.js")).toBeLessThan(platformMillis / 3);
  });
});

describe("expectView under node:test", () => {
  const file = join(folder, "spending.test.mjs");
  const write = (total: number): void =>
    writeFileSync(
      file,
      `import test from "node:test";
import { count, entity, stream, sum, t, view } from ${JSON.stringify(join(root, "dist/index.js"))};
import { expectView } from ${JSON.stringify(join(root, "dist/testing/index.js"))};
const user = entity("user", { user: t.string() });
const payments = stream("payments", { columns: { user: t.string(), at: t.timestamp(), amount: t.float64() }, eventTime: "at" });
const spending = view("spending", { entity: user, source: payments, features: { n: count(), total: sum("amount") } });
test("adds up", () => {
  expectView(spending)
    .after([{ user: "ada", at: "2026-01-01T10:00:00Z", amount: 10 }])
    .at("2026-01-01T11:00:00Z")
    .toEqual({ n: 1, total: ${total} });
});
`,
    );

  it("passes", () => {
    write(10);
    const { status, output } = node(["--test", "--test-reporter=spec", file]);
    expect(output).toContain("pass 1");
    expect(status).toBe(0);
  });

  it("fails with the difference, the events that counted and the line of the test", () => {
    write(11);
    const { status, output } = node(["--test", "--test-reporter=spec", file]);
    expect(status).toBe(1);
    expect(output).toContain("total: expected 11, got 10");
    expect(output).toContain("counted: row 1 (2026-01-01T10:00:00Z: 10)");
    expect(output).toMatch(/spending\.test\.mjs:11:/);
    expect(output).toContain("actual: { n: 1, total: 10 }");
  });
});
