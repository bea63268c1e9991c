/**
 * Compiles the type tests of this folder, and shows that they would fail: a wrong line that compiles, or a
 * right one that does not, is an error of the compiler.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(ROOT, "test/types/.compiled-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function compile(name: string, files: readonly string[]): Promise<{ readonly status: number | null; readonly output: string }> {
  const project = join(folder, `${name}.json`);
  await writeFile(project, JSON.stringify({ extends: "../../../tsconfig.json", include: [], files }));
  const { status, stdout } = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8", cwd: ROOT });
  return { status, output: stdout };
}

async function compileText(name: string, text: string): Promise<{ readonly status: number | null; readonly output: string }> {
  const file = join(folder, `${name}.ts`);
  await writeFile(file, text);
  return compile(name, [file]);
}

const HEAD = `import { col, count, entity, mean, service, stream, sum, t, type Vector, view } from "../../../src/index.ts";
const user = entity("user", { user: t.string() });
const payments = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
});
const base = { entity: user, source: payments } as const;
`;
const USED = "void [base, col, count, mean, service, sum, view, t]; export type Used = Vector<never>;\n";

describe("type tests", () => {
  it("compile: what should be refused is, and what should be accepted is", async () => {
    const names = (await readdir(join(ROOT, "test/types"))).filter((name) => name.endsWith(".types.ts"));
    expect(names).toContain("definitions.types.ts");
    const { status, output } = await compile(
      "all",
      names.map((name) => join(ROOT, "test/types", name)),
    );
    expect(output).toBe("");
    expect(status).toBe(0);
  });

  it("fail where a wrong definition compiles", async () => {
    const text = await readFile(join(ROOT, "test/types/definitions.types.ts"), "utf8");
    const broken = text
      .replace("../../src/index.ts", "../../../src/index.ts")
      .replace('features: { a: sum("origin") }', 'features: { a: sum("distance") }');
    const { status, output } = await compileText("broken", broken);
    expect(status).not.toBe(0);
    expect(output).toContain("Unused '@ts-expect-error' directive");
  });

  it.each([
    ["a wrong field name", 'view("v", { ...base, features: { a: mean("amuont") } });', 'the source has no column \\"amuont\\"'],
    ["a sum over a string", 'view("v", { ...base, features: { a: sum("user") } });', 'column \\"user\\" is of type string: a number is needed'],
    ["a wrong window", 'mean("amount").over("1hr");', "1hr"],
    [
      "a feature twice",
      'const v = view("v", { ...base, features: { a: count() } });\nservice("s", { features: [v, v] });',
      'feature \\"a\\" is in the service twice',
    ],
    [
      "a wrong name in a vector",
      'const s = service("s", { features: [view("v", { ...base, features: { a: count() } })] });\nconst v = { a: 1 } as Vector<typeof s>;\nvoid v.b;',
      "Property 'b' does not exist on type '{ readonly a: number; }'",
    ],
  ])("show that %s does not compile, and says so readably", async (name, line, message) => {
    const right = await compileText(`right-${name.replaceAll(" ", "-")}`, HEAD + USED);
    expect(right.output).toBe("");
    const { status, output } = await compileText(name.replaceAll(" ", "-"), HEAD + USED + line);
    expect(status).not.toBe(0);
    expect(output).toContain(message);
  });
});
