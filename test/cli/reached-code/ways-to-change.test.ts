/** No change of what a function gives passes unnoticed, by whatever way of the language it comes about. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { loadDefinitions } from "../../../src/cli/load-definitions.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "reached-ways-")));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;

/** Code fingerprints of the on-demand views, with `§` written as `value` in every file. */
async function fingerprints(files: Readonly<Record<string, string>>, value: string): Promise<readonly unknown[]> {
  const folder = join(root, String(++folders));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text.replaceAll("§", value));
  }
  const { definitions } = await loadDefinitions(join(folder, "features.ts"));
  return definitions.flatMap((one) => (one.kind === "on-demand" ? [one.codeFingerprint] : []));
}

const options = (rest: string): string =>
  `{ inputs: [], request: { x: t.float64() }, outputs: { r: t.float64() }, ${rest} }`;
const HEAD = 'import { onDemand, t } from "onefold";\n';
/** `by` is what the function multiplies with. */
const by = (before: string, factor: string): string =>
  `${HEAD}${before}\nexport const a = onDemand("a", ${options(`compute: ({ x }: any) => ({ r: x * (${factor}) })`)});\n`;
const closure = "const maker = (n: number) => ({ x }: any) => ({ r: x * n });";
const made = (before: string, rest: string): string =>
  `${HEAD}${closure}\n${before}\nexport const a = onDemand("a", ${options(rest)} as any);\n`;

const WAYS: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
  ["a variable that a function sets", by("let k = 1; function set(n: number) { k = n; } set(§);", "k")],
  ["an alias", by("const list: number[] = []; const alias = list; alias.push(§);", "list[0]!")],
  ["a member of a member", by("const T: any = { a: { b: 1 } }; const row = T.a; row.b = §;", "T.a.b")],
  ["a prototype", by("function P(this: any) {} P.prototype.f = () => §;", "new (P as any)().f()")],
  ["a member of a function", by("function f() { return (f as any).k; } (f as any).k = §;", "f()")],
  [
    "a static member by the class's own name",
    by("class F { static make() { return F.k; } static k = §; }", "F.make()"),
  ],
  ["a class that is extended", by("class A { k() { return §; } } class B extends A {} const b = new B();", "b.k()")],
  ["this of an object", by("const o = { k: §, f() { return this.k; } };", "o.f()")],
  ["an enum", by("enum E { A = §, B }", "E.B")],
  ["a default in a pattern", by("const { k = § } = {} as any;", "k")],
  ["a loop", by('const T: any = {}; for (const [k, v] of [["a", §]] as any) T[k] = v;', "T.a")],
  [
    "a method called get that counts",
    by(
      "class C { n = 0; get(k: number) { this.n += k; return k; } } const c = new C(); export const z = 1 + c.get(§);",
      "c.n",
    ),
  ],
  [
    "defineProperty by another name",
    by('const T: any = {}; const dp = Object.defineProperty; dp(T, "k", { value: § });', "T.k"),
  ],
  ["a global", by("(globalThis as any).KK = §;", "(globalThis as any).KK")],
  ["a promise", by("const k = await Promise.resolve(§);", "k")],
  ["a table that a function returns", by("const T = { k: 1 }; const table = () => T; table().k = §;", "T.k")],
  [
    "a class inside of a class",
    by("class K1 { k() { return class K2 { k() { return K§ === K2 ? 3 : 4; } }; } }", "new (new K1().k())().k()"),
  ],
  ["JSON", by('import r from "./r.json";', "r.k"), { "r.json": '{ "k": § }' }],
  [
    "a member of a namespace by a computed name",
    by('import * as R from "./r.ts";', '(R as any)[String("k")]'),
    { "r.ts": "export const k = §;" },
  ],
  [
    "a module that is imported when it runs",
    by('const m = await import("./r.ts");', "m.k"),
    { "r.ts": "export const k = §;" },
  ],
  [
    "a package that another extends",
    by('import d from "dd"; import p from "pp"; (d as any).extend(p);', "(d as any).f()"),
    {
      "node_modules/dd/index.js": "exports.f = () => 1; exports.extend = (p) => p(exports);",
      "node_modules/pp/index.js": "module.exports = (d) => { d.f = () => §; };",
    },
  ],
  [
    "a package that another changes by being imported",
    by('import d from "dd"; import "pp";', "(d as any).f()"),
    { "node_modules/dd/index.js": "exports.f = () => 1;", "node_modules/pp/index.js": 'require("dd").f = () => §;' },
  ],
  ["options that are spread", made("const base = { compute: maker(§) };", "...base")],
  ["an option by a computed name", made("", '["comp" + "ute"]: maker(§)')],
  [
    "a closure in a table",
    made('const all = new Map<string, any>(); all.set("a", maker(§));', 'compute: all.get("a")'),
  ],
  [
    "a closure in a list that is filled",
    made("const all: any[] = []; for (const n of [§]) all.push(maker(n));", "compute: all[0]"),
  ],
  [
    "a member of an instance",
    made(
      "class R { constructor(readonly k: number) {} f = ({ x }: any) => ({ r: x * this.k }); }",
      "compute: new R(§).f",
    ),
  ],
  [
    "a definition in a block",
    `${HEAD}export const all: any[] = []; { const k = §; all.push(onDemand("a", ${options("compute: ({ x }: any) => ({ r: x * k })")})); }`,
  ],
  [
    "a definition made by a callback",
    `${HEAD}export const all = [["a", §]].map(([name, k]: any) => onDemand(name, ${options("compute: ({ x }: any) => ({ r: x * k })")}));`,
  ],
  [
    "a maker that is called by apply",
    `${HEAD}${closure} const f = maker(§); export const a = (onDemand as any).apply(null, ["a", ${options("compute: f")}]);`,
  ],
  [
    "a maker by another name",
    `${HEAD}${closure} const lib = { make: onDemand as any }; const f = maker(§); export const a = lib.make("a", ${options("compute: f")});`,
  ],
];

it.each<[string, string, Readonly<Record<string, string>>?]>(WAYS.map((way) => [...way]))(
  "%s",
  async (_, text, files = {}) => {
    const project = { "features.ts": text, ...files };
    const [one, same, two] = [
      await fingerprints(project, "1"),
      await fingerprints(project, "1"),
      await fingerprints(project, "2"),
    ];
    expect(one).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(same).toEqual(one);
    expect(two).not.toEqual(one);
  },
);

it("the order of modules that change one thing", async () => {
  const files = (first: string, second: string): Record<string, string> => ({
    "features.ts": by(`import "./${first}.ts"; import "./${second}.ts"; import { T } from "./t.ts";`, "T.k"),
    "t.ts": "export const T: any = {};",
    "one.ts": 'import { T } from "./t.ts"; T.k = 1;',
    "two.ts": 'import { T } from "./t.ts"; T.k = 2;',
  });
  expect(await fingerprints(files("one", "two"), "")).not.toEqual(await fingerprints(files("two", "one"), ""));
});

it("the order of declarations that call one function", async () => {
  const text = (calls: string): string =>
    by(
      `const s: number[] = []; const add = (n: number) => { s.push(n); return n; }; ${calls} export const z = [p, q];`,
      "s[0]!",
    );
  const [one, two] = ["const p = add(1), q = add(2);", "const q = add(2), p = add(1);"].map((calls) => ({
    "features.ts": text(calls),
  }));
  expect(await fingerprints(one!, "")).not.toEqual(await fingerprints(two!, ""));
});
