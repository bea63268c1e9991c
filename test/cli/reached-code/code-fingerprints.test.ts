/** The fingerprint of a definition's functions changes with the code that they reach, and with nothing else. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../../src/cli/load-definitions.ts";
import { nodesOf } from "../../../src/define/transformation-text.ts";

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "reached-code-")));
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;
let folders = 0;

/** Code fingerprints by name, of the definitions in `features.ts`, in a folder of their own. */
async function fingerprints(files: Files): Promise<Readonly<Record<string, string>>> {
  const folder = join(root, `project-${++folders}`);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const { definitions } = await loadDefinitions(join(folder, "features.ts"));
  const found: Record<string, string> = {};
  for (const one of definitions) {
    if (one.kind === "on-demand") found[`${one.name}@${one.version}`] = one.codeFingerprint!;
    if (one.kind === "view") {
      for (const { aggregation } of one.features) {
        if (aggregation.custom !== undefined) found[aggregation.custom.name] = aggregation.custom.codeFingerprint!;
      }
    }
    if (one.kind === "service") {
      for (const node of (one.transform ?? []).flatMap((each) => nodesOf(each.node))) {
        if (node.op === "custom") found[node.custom.name] = node.custom.codeFingerprint!;
      }
    }
  }
  return found;
}

const PAYMENTS = `import { count, entity, mean, stream, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64() },
  eventTime: "paid_at",
});
export const spending = view("spending", { entity: user, source: payments, features: { n: count(), m: mean("amount") } });
`;
/** An on-demand view named `score`, whose function is `compute`. */
const score = (compute: string, more = "", options = ""): string => `
export const score = onDemand("score", {
  inputs: [spending], request: { x: t.float64() }, outputs: { r: t.float64() }, ${options}
  ${compute.startsWith("compute") ? compute : `compute: ${compute}`},
});
${more}`;
const features = (
  before: string,
  compute: string,
  more = "",
  options = "",
): string => `import { onDemand, service, t } from "onefold";
import { payments, spending, user } from "./payments.ts";
${before}
${score(compute, more, options)}
export const model = service("model", { features: [score] });
`;

const MODULES: Files = {
  "payments.ts": PAYMENTS,
  "rates.ts": `export const RATES = new Map<string, number>();
RATES.set("a", 1);
export const FACTORS = { a: 1, b: 2 };
export class Scale { static base = 2; by(x: number) { return x * Scale.base; } }
export function half(x: number, of = 2) { return x / of; }
export function ratioOf(by: number, of: string) { return ({ x }: any) => ({ r: x / by + (RATES.get(of) ?? 0) }); }
export const unused = 1;
`,
  "node_modules/pack/package.json": `{ "name": "pack", "main": "index.js" }`,
  "node_modules/pack/index.js": `const { inner } = require("./inner.js"); exports.twice = (x) => inner(x) * 2; exports.other = () => 1;`,
  "node_modules/pack/inner.js": `exports.inner = (x) => x + 1;`,
  "node_modules/modern/package.json": `{ "name": "modern", "type": "module", "exports": "./index.js", "sideEffects": false }`,
  "node_modules/modern/index.js": `export const thrice = (x) => x * 3;\nexport const unread = () => 4;\n`,
};
const BEFORE = `import { FACTORS, half, RATES, ratioOf, Scale } from "./rates.ts";
import { twice } from "pack";
import { thrice } from "modern";
import { basename } from "node:path";
const LIMIT = 3;
const named = ({ x }: any) => ({ r: half(x) });
const rules = { small({ x }: any) { return { r: x + LIMIT }; } };
`;
const COMPUTES: Readonly<Record<string, string>> = {
  plain: "({ x }) => ({ r: x + 1 })",
  all: `({ x }) => { const y = half(x) * (RATES.get("a") ?? 0) + FACTORS.a; return { r: new Scale().by(y) + twice(x) + thrice(x) + LIMIT + \`b\${basename("/c")}\`.length }; }`,
  named: "named",
  member: "rules.small",
  method: "compute({ x }) { return { r: half(x) }; }",
  closure: 'ratioOf(4, "a")',
  data: "({ x }) => ({ r: x + spending.name.length })",
};

/** Both sides of an edit, as files: what stands in `MODULES`, and `features.ts`. */
const project = (compute: string, changed: Files = {}, before = BEFORE, more = "", options = ""): Files => ({
  ...MODULES,
  "features.ts": features(before, COMPUTES[compute] ?? compute, more, options),
  ...changed,
});
const edit = (file: string, from: string | RegExp, to: string): Files => {
  const text = MODULES[file]!;
  const edited = text.replace(from, to);
  if (edited === text) throw new Error(`${file} has no ${String(from)}`);
  return { [file]: edited };
};
const hash = async (files: Files): Promise<string> => (await fingerprints(files))["score@1"]!;

/** A module with a top-level name for each that other modules have. */
const COLLIDING: Files = {
  "colliding.ts": `import * as all from "./spaces.ts";
const state: any[] = [];
export const [FACTORS, RATES, LIMIT, x, y, of, by, inner] = [1, 2, 3, 4, 5, 6, 7, 8];
export function half() { return state.push(LIMIT, all); }
export class Scale { static base = half(); }
export const named = half, rules = Scale, score = 3, twice = 2, thrice = 3, basename = 4, ratioOf = 5;
void [FACTORS, RATES, x, y, of, by, inner, named, rules, score, twice, thrice, basename, ratioOf].map(String);
`,
  "spaces.ts": "export const x = 1;\nexport const half = 2;\n",
};

describe("what changes nothing for", () => {
  describe.each(Object.keys(COMPUTES).filter((name) => name !== "data"))("%s", (compute) => {
    it.each<[string, Files]>([
      ["another folder", project(compute)],
      ["a description of a feature", project(compute, edit("payments.ts", "count()", 'count().describe("of all")'))],
      ["a nullable column", project(compute, edit("payments.ts", "amount:", "note: t.string().nullable(), amount:"))],
      [
        "another stream",
        project(compute, {
          "payments.ts": `${PAYMENTS}export const more = stream("more", { columns: { at: t.timestamp() }, eventTime: "at" });`,
        }),
      ],
      ["its own description", project(compute, {}, BEFORE, "", 'description: "of x", owner: "me", tags: ["a"],')],
      [
        "another service",
        project(
          compute,
          {},
          BEFORE,
          'export const other = service("other", { features: [score, spending.pick("n")] });',
        ),
      ],
      [
        "a comment and white space",
        project(compute, edit("rates.ts", "return x / of", "/* half */ return   x /of"), `// a\n${BEFORE}`),
      ],
      ["what is not used", project(compute, edit("rates.ts", "unused = 1", "unused = 2"))],
      ["what is not used of a package", project(compute, edit("node_modules/modern/index.js", "=> 4", "=> 5"))],
      [
        "a module with colliding names",
        project(
          compute,
          COLLIDING,
          `import * as colliding from "./colliding.ts";\n${BEFORE}export const seen = [colliding];\n`,
        ),
      ],
      [
        "a module with colliding names behind",
        project(compute, COLLIDING, `${BEFORE}import { half as other } from "./colliding.ts";\nother();\n`),
      ],
      [
        "another view by the same code",
        project(
          compute,
          {},
          BEFORE,
          `export const next = onDemand("score", { version: 2, inputs: [spending], request: { x: t.float64() }, outputs: { r: t.float64() }, compute: ratioOf(5, "b") });\nexport const both = service("both", { features: [next] });`,
        ),
      ],
      [
        "another view by the same package",
        project(
          compute,
          {},
          `import { other } from "pack";\n${BEFORE}`,
          `export const next = onDemand("next", { inputs: [], request: { x: t.float64() }, outputs: { r: t.float64() }, compute: ({ x }) => ({ r: other() + twice(x) }) });`,
        ),
      ],
      [
        "names of variables",
        project(
          compute,
          edit("rates.ts", "half(x: number, of = 2) { return x / of; }", "half(z: number, by = 2) { return z / by; }"),
        ),
      ],
    ])("%s", async (_, edited) => {
      const before = await hash(project(compute));
      expect(before).toMatch(/^[0-9a-f]{64}$/);
      expect(await hash(edited)).toBe(before);
    });
  });

  it("code that is moved to another file", async () => {
    const { "rates.ts": rates, ...others } = project("method");
    const moved = others["features.ts"]!.replace("./rates.ts", "./lib/other.ts");
    expect(await hash({ ...others, "features.ts": moved, "lib/other.ts": rates! })).toBe(await hash(project("method")));
  });
});

describe("what changes", () => {
  const rates = (from: string, to: string): Files => edit("rates.ts", from, to);
  const before = (from: string, to: string): string => BEFORE.replace(from, to);
  it.each<[string, string, Files]>([
    ["the function itself", "plain", project("({ x }) => ({ r: x + 2 })")],
    ["an operator", "plain", project("({ x }) => ({ r: x - 1 })")],
    ["a template literal", "all", project(COMPUTES["all"]!.replace("`b", "`bb"))],
    ["what is imported of Node", "all", project("all", {}, before("basename }", "dirname as basename }"))],
    ["a function elsewhere", "all", project("all", rates("x / of", "x * of"))],
    ["a default argument", "all", project("all", rates("of = 2", "of = 3"))],
    ["a default argument, by name", "named", project("named", rates("of = 2", "of = 3"))],
    ["a default argument, by a method", "method", project("method", rates("of = 2", "of = 3"))],
    ["a constant", "all", project("all", {}, before("LIMIT = 3", "LIMIT = 4"))],
    ["a constant, by a member", "member", project("member", {}, before("LIMIT = 3", "LIMIT = 4"))],
    ["a method of an object", "member", project("member", {}, before("x + LIMIT", "x - LIMIT"))],
    ["a method of a class", "all", project("all", rates("x * Scale.base", "x + Scale.base"))],
    ["a static member", "all", project("all", rates("base = 2", "base = 3"))],
    [
      "a static member that is assigned",
      "all",
      project("all", rates("export const unused", "Scale.base = 5; export const unused")),
    ],
    ["a table", "all", project("all", rates("a: 1", "a: 2"))],
    ["a statement that fills a table", "all", project("all", rates('set("a", 1)', 'set("a", 2)'))],
    [
      "a statement that fills a table, for a closure",
      "closure",
      project("closure", rates('set("a", 1)', 'set("a", 2)')),
    ],
    [
      "the order of two statements",
      "all",
      project("all", rates('RATES.set("a", 1);', 'RATES.set("a", 2); RATES.set("a", 1);')),
    ],
    ["another statement that fills a table", "all", project("all", {}, BEFORE, 'RATES.set("b", 1);')],
    ["a member that is assigned elsewhere", "all", project("all", {}, BEFORE, "Object.assign(FACTORS, { a: 3 });")],
    [
      "a function that fills a table and is called",
      "all",
      project(
        "all",
        rates("export const unused", 'const fill = () => { RATES.set("c", 1); }; fill(); export const unused'),
      ),
    ],
    [
      "a declaration that fills a table",
      "all",
      project(
        "all",
        rates(
          "export const unused",
          'const fill = (m: any) => m.set("c", 1); export const filled = fill(RATES); export const unused',
        ),
      ),
    ],
    ["a global", "plain", project("plain", {}, BEFORE, "(Array.prototype as any).sum = 1;")],
    ["a package", "all", project("all", edit("node_modules/pack/index.js", "* 2", "* 3"))],
    ["what a package requires", "all", project("all", edit("node_modules/pack/inner.js", "+ 1", "+ 2"))],
    ["a package of modules", "all", project("all", edit("node_modules/modern/index.js", "* 3", "* 4"))],
    ["what a closure was made of", "closure", project('ratioOf(5, "a")')],
    ["the function that made a closure", "closure", project("closure", rates("x / by", "x * by"))],
    [
      "the name of a definition that is read",
      "data",
      project("data", edit("payments.ts", 'view("spending"', 'view("spent"')),
    ],
    ["a closure to a function of the same result", "closure", project("plain")],
  ])("%s", async (_, compute, edited) => {
    expect(await hash(edited)).not.toBe(await hash(project(compute)));
  });
});

describe("where the function cannot be told by its text", () => {
  const definition = (name: string, options: string): string =>
    `onDemand(${name}, { inputs: [], request: { x: t.float64() }, outputs: { r: t.float64() }, ${options} })`;
  const load = async (text: string, more: Files = {}): Promise<Readonly<Record<string, string>>> =>
    fingerprints({
      "features.ts": `import { custom, customTransformation, entity, onDemand, stream, t, view } from "onefold";\n${text}`,
      ...more,
    });
  const changed = async (text: string, from: string, to: string, more: Files = {}): Promise<readonly string[]> => {
    if (!text.includes(from)) throw new Error(`no ${from}`);
    const [a, b] = [await load(text, more), await load(text.replace(from, to), more)];
    return Object.keys(a).filter((name) => a[name] !== b[name]);
  };

  it("a definition made in a function has what its callers give it", async () => {
    const text = `import { make } from "./make.ts";
export const a = make("a", (x: number) => x + 1);
export const b = make("b", (x: number) => x + 2);
export const user = entity("user", { user: t.string() });
`;
    const make = `import { onDemand, t } from "onefold";
export const make = (name: string, by: (x: number) => number) => ${definition("name", "compute: ({ x }: any) => ({ r: by(x) })")};
`;
    expect(await changed(text, "x + 1", "x + 3", { "make.ts": make })).toContain("a@1");
    expect(await changed(text, "{ user: t", "{ usr: t", { "make.ts": make })).toEqual([]);
  });

  it("definitions made in a loop have the loop and its list", async () => {
    const text = `const FACTORS = [["a", 1], ["b", 2]] as const;
export const all = [] as any[];
for (const [name, by] of FACTORS) all.push(${definition("name", "compute: ({ x }: any) => ({ r: x * by })")});
const other = 1;
export const user = entity("user", { user: t.string() }, { description: String(other) });
`;
    expect(await changed(text, '"b", 2', '"b", 3')).toEqual(["a@1", "b@1"]);
    expect(await changed(text, "x * by", "x / by")).toEqual(["a@1", "b@1"]);
    expect(await changed(text, "other = 1", "other = 2")).toEqual([]);
  });

  it("equal texts that mean different things are told apart", async () => {
    const text = `const one = (by: number) => ({ x }: any) => ({ r: x * by });
const by = 7;
export const a = ${definition('"a"', "compute: ({ x }: any) => ({ r: x * by })")};
export const b = ${definition('"b"', "compute: one(2)")};
`;
    expect(await changed(text, "by = 7", "by = 8")).toContain("a@1");
    expect(await changed(text, "one(2)", "one(3)")).toContain("b@1");
  });

  it("bound functions, functions given by name or as options, and methods that use this", async () => {
    const text = `function ratio(by: number, { x }: any) { return { r: x / by }; }
const options = { inputs: [], request: { x: t.float64() }, outputs: { r: t.float64() }, compute: ratio.bind(null, 2) };
export const a = onDemand("a", options);
export const b = ${definition('"b"', "compute: ratio.bind(null, 3)")};
export const c = ${definition('"c"', 'description: "one", compute(this: any, { x }: any) { return { r: x + this.description.length }; }')};
class Rules { static base = 3; static by = ({ x }: any) => ({ r: x * this.base }); }
export const d = ${definition('"d"', "compute: Rules.by")};
`;
    expect(await changed(text, "null, 2", "null, 4")).toContain("a@1");
    expect(await changed(text, "null, 3", "null, 4")).toEqual(["b@1"]);
    expect(await changed(text, "x / by", "x * by")).toEqual(["a@1", "b@1"]);
    expect(await changed(text, '"one"', '"three"')).toEqual(["c@1"]);
    expect(await changed(text, "base = 3", "base = 4")).toEqual(["d@1"]);
  });

  it("names of functions count where names are read, and any variable where there is an eval", async () => {
    const named = `const small = (x: number) => x; const rules = [small];
export const a = ${definition('"a"', "compute: ({ x }: any) => ({ r: rules.map((one) => one.name.length + one(x))[0]! })")};
`;
    expect(
      await changed(
        named,
        "const small = (x: number) => x; const rules = [small]",
        "const large2 = (x: number) => x; const rules = [large2]",
      ),
    ).toEqual(["a@1"]);
    const evaluated = `export const by = 3;
export const a = ${definition('"a"', 'compute: ({ x }: any) => ({ r: eval("x * by") })')};
`;
    expect(await changed(evaluated, "by = 3", "by = 4")).toEqual(["a@1"]);
  });

  it("each of the functions of a custom aggregation and of a custom transformation", async () => {
    const text = `import { count, service } from "onefold";
const start = 0, step = 1, later = 2, last = 3, least = 4, most = 5;
const score = custom("score", { output: t.float64(), empty: () => start, add: (state: number, x: number) => state + x * step,
  merge: (a: number, b: number) => a + b * later, read: (state: number) => state / last });
const near = customTransformation("near", { output: t.float64(), fit: (all: readonly number[]) => all.length * least, apply: (x: number, by: number) => x * by * most });
const user = entity("user", { user: t.string() });
const visits = stream("visits", { columns: { user: t.string(), at: t.timestamp(), n: t.float64() }, eventTime: "at" });
export const spent = view("spent", { entity: user, source: visits, features: { s: score("n"), c: count() } });
export const model = service("model", { features: [spent], transform: { x: near("c") } });
`;
    for (const name of ["start = 0", "step = 1", "later = 2", "last = 3"])
      expect(await changed(text, name, name.replace(/\d/, "9")), name).toEqual(["score"]);
    for (const name of ["least = 4", "most = 5"])
      expect(await changed(text, name, name.replace(/\d/, "9")), name).toEqual(["near"]);
  });
});
