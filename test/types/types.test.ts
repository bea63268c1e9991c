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

/** What the compiler says of the given files; what it says of others is not this test's to judge. */
async function errorsOf(name: string, files: readonly string[]): Promise<string> {
  const project = join(folder, `${name}.json`);
  await writeFile(project, JSON.stringify({ extends: "../../../tsconfig.json", include: [], files }));
  const tsc = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8", cwd: ROOT });
  expect(tsc.error).toBeUndefined();
  const errors = tsc.stdout.split(/\n(?! )/).filter((error) => error.startsWith("test/types/"));
  expect(errors.length === 0 || tsc.status !== 0).toBe(true);
  return errors.join("\n");
}

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, `${name}.ts`);
  await writeFile(file, text);
  return file;
}

const HEAD = `import { col, count, entity, expectation, last, mean, service, standardize, stream, sum, t, type Vector, view } from "../../../src/index.ts";
const user = entity("user", { user: t.string() });
const payments = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
});
const base = { entity: user, source: payments } as const;
`;
const USED =
  "void [base, col, count, expectation, last, mean, service, standardize, sum, view, t]; export type Used = Vector<never>;\n";

const WRONG: readonly (readonly [name: string, lines: string, message: string])[] = [
  ["column", 'view("v", { ...base, features: { a: mean("amuont") } });', 'the source has no column \\"amuont\\"'],
  [
    "sum",
    'view("v", { ...base, features: { a: sum("user") } });',
    'column \\"user\\" is of type string: a number is needed',
  ],
  ["window", 'mean("amount").over("1hr");', "1hr"],
  [
    "twice",
    'const v = view("v", { ...base, features: { a: count() } });\nservice("s", { features: [v, v] });',
    'feature \\"a\\" is in the service twice',
  ],
  [
    "transformed",
    'service("s", { features: [view("v", { ...base, features: { a: count() } })], transform: { b: standardize("aa") } });',
    'the service has no feature \\"aa\\"',
  ],
  [
    "standardized",
    'service("s", { features: [view("v", { ...base, features: { a: last("user") } })], transform: { b: standardize("a") } });',
    'feature \\"a\\" is a string: a number is needed',
  ],
  [
    "expected",
    'stream("s", { columns: { at: t.timestamp(), delay: t.int64() }, eventTime: "at", expect: [expectation("dely", { nullRate: { max: 0 } })] });',
    'the source has no column \\"dely\\"',
  ],
  [
    "expected_kind",
    'stream("s", { columns: { at: t.timestamp(), delay: t.int64() }, eventTime: "at", expect: [expectation("delay", { pattern: "^a" })] });',
    'column \\"delay\\" is of type int64: a string is needed',
  ],
  [
    "expected_of_feature",
    'view("v", { ...base, features: { a: count() }, expect: [expectation("a", { range: { min: 0 }, severity: "quarantine" })] });',
    "a feature is judged once its events are folded: it can only warn",
  ],
  [
    "vector",
    'const s = service("s", { features: [view("v", { ...base, features: { a: count() } })] });\nconst v = { a: 1 } as Vector<typeof s>;\nvoid v.b;',
    "Property 'b' does not exist on type '{ readonly a: number; }'",
  ],
];

describe("type tests", () => {
  it("compile: what should be refused is, and what should be accepted is", async () => {
    const names = (await readdir(join(ROOT, "test/types"))).filter((name) => name.endsWith(".types.ts"));
    expect(names).toContain("definitions.types.ts");
    const files = names.map((name) => join(ROOT, "test/types", name));
    expect(await errorsOf("all", [...files, await write("right", HEAD + USED)])).toBe("");
  });

  it("fail where a wrong definition compiles", async () => {
    const text = await readFile(join(ROOT, "test/types/definitions.types.ts"), "utf8");
    const broken = text
      .replace("../../src/index.ts", "../../../src/index.ts")
      .replace('features: { a: sum("origin") }', 'features: { a: sum("distance") }');
    const errors = await errorsOf("broken", [await write("broken", broken)]);
    expect(errors).toContain("Unused '@ts-expect-error' directive");
    expect(errors.split("\n")).toHaveLength(1);
  });

  it("show that wrong fields, windows, sums and names do not compile, in readable words", async () => {
    const files = await Promise.all(WRONG.map(([name, lines]) => write(name, HEAD + USED + lines)));
    const errors = (await errorsOf("wrong", files)).split(/\n(?! )/);
    for (const [name, , message] of WRONG) {
      const own = errors.filter((error) => error.includes(`/${name}.ts(`)).join("\n");
      expect({ name, own }).toEqual({ name, own: expect.stringContaining(message) as string });
    }
  });
});
