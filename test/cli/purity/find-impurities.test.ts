/** What is impure in the functions of definitions is found where it stands, and nothing else is. */
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DOOR_URL, loadDefinitions } from "../../../src/cli/load-definitions.ts";
import { findImpurities, type Impurity } from "../../../src/cli/purity/find-impurities.ts";
import { explainImpurity } from "../../../src/cli/purity/impure-names.ts";

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "impurities-")));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let files = 0;

/** Loads `text` as a definitions file, with other modules beside it. */
async function check(text: string, modules: Readonly<Record<string, string>> = {}): Promise<Impurity[]> {
  const file = join(folder, `features-${++files}.ts`);
  await writeFile(file, text);
  for (const [name, module] of Object.entries(modules)) await writeFile(join(folder, name), module);
  return findImpurities((await loadDefinitions(file)).code, DOOR_URL);
}

const HEAD = `import { custom, entity, onDemand, t } from "onefold";
export const user = entity("user", { user: t.string() });
`;
const compute = (body: string, before = ""): string => `${HEAD}${before}
export const ratio = onDemand("ratio", { inputs: [], request: { x: t.float64(), at: t.timestamp() }, outputs: { r: t.float64() },
  compute: ({ x, at }, { asOf }) => { ${body} },
});
`;
const add = (body: string, before = ""): string => `${HEAD}${before}
export const streak = custom("streak", { output: t.float64(), empty: () => 0,
  add: (state: number, x: number, eventTime) => { ${body} },
  read: (state) => state,
});
`;
/** \`kind found\` of each. */
const found = (impurities: readonly Impurity[]): string[] =>
  impurities.map(({ kind, found: name }) => `${kind} ${name}`);

describe("in a definition's function", () => {
  it.each([
    ["Date.now() / 1000", "time Date.now"],
    ["new Date().valueOf()", "time new Date without arguments"],
    ["Date().length", "time Date()"],
    ["performance.now()", "time performance.now"],
    ["performance.timeOrigin", "time performance.timeOrigin"],
    ["process.hrtime()[0]", "time process.hrtime"],
    ["Number(process.hrtime.bigint())", "time process.hrtime.bigint"],
    ["globalThis.Date.now()", "time Date.now"],
    ["Date['now']()", "time Date.now"],
    ["(0, Date.now)()", "time Date.now"],
    ["Date?.now?.()", "time Date.now"],
    ["[x].map(Date.now)[0]", "time Date.now"],
    ["new Date(at / 1000).getHours()", "local getHours()"],
    ["new Date(at / 1000).getDay()", "local getDay()"],
    ["new Date(at / 1000).getTimezoneOffset()", "local getTimezoneOffset()"],
    ["new Date(at / 1000).toLocaleString().length", "local toLocaleString()"],
    ["x.toLocaleString().length", "local toLocaleString()"],
    ["'a'.localeCompare('b')", "local localeCompare()"],
    ["new Date(2026, 0, 1).valueOf()", "local new Date(year, month, ...)"],
    ["new Intl.NumberFormat('de').format(x).length", "local Intl.NumberFormat"],
    ["Date.prototype.getHours.call(new Date(0))", "local Date.prototype.getHours"],
    ["Math.random()", "randomness Math.random"],
    ["crypto.randomUUID().length", "randomness crypto.randomUUID"],
    ["crypto.getRandomValues(new Uint8Array(1))[0]", "randomness crypto.getRandomValues"],
    ["process.env['X'] === undefined ? 0 : 1", "input-output process.env.X"],
    ["process.pid", "input-output process.pid"],
    ["(setTimeout(() => 1, 1), x)", "async setTimeout"],
    ["(queueMicrotask(() => 1), x)", "async queueMicrotask"],
    ["(fetch('http://x'), x)", "input-output fetch"],
    ["(import('node:fs'), x)", "input-output import()"],
    ["(console.log(x), x)", "output console.log"],
    ["eval('1')", "unreadable eval"],
    ["new Function('return 1')()", "unreadable Function"],
    ["Math.exp(x)", "precision Math.exp"],
    ["Math.sin(x)", "precision Math.sin"],
    ["x ** 2", "precision **"],
    ["((y) => (y **= 2))(x)", "precision **"],
  ])("finds %s", async (expression, what) => {
    expect(found(await check(compute(`return { r: ${expression} };`)))).toEqual([what]);
  });

  it.each([
    ["const { now } = Date; return now();", "time Date.now"],
    ["const D = Date; return D.now();", "time Date.now"],
    ["const D = globalThis.Date; return new D().valueOf();", "time new Date without arguments"],
    ["const { Date: D } = globalThis; return D.now();", "time Date.now"],
    ["const now = Date.now.bind(Date); return now();", "time Date.now"],
    ["const clock = { now: Date.now }; return clock.now();", "time Date.now"],
    ["const { a: { b } } = { a: { b: Math.random } }; return b();", "randomness Math.random"],
  ])("sees through names: %s", async (body, what) => {
    expect(found(await check(add(body))).filter((one) => one === what).length).toBeGreaterThan(0);
    expect(new Set(found(await check(add(body))))).toEqual(new Set([what]));
  });

  it.each([
    [
      'import { readFileSync } from "node:fs";',
      "return readFileSync('x').length;",
      "input-output readFileSync of node:fs",
    ],
    ['import fs from "fs";', "return fs.readFileSync('x').length;", "input-output readFileSync of node:fs"],
    ['import * as http from "node:http";', "return http.get('x') === null ? 0 : 1;", "input-output get of node:http"],
    [
      'import { execSync as run } from "node:child_process";',
      "return run('x').length;",
      "input-output execSync of node:child_process",
    ],
    ['import { randomUUID as id } from "node:crypto";', "return id().length;", "randomness randomUUID of node:crypto"],
    [
      'import { performance as p } from "node:perf_hooks";',
      "return p.now();",
      "time performance.now of node:perf_hooks",
    ],
    ['import process from "node:process";', "return process.pid;", "input-output pid of node:process"],
    [
      'import { setTimeout as wait } from "node:timers/promises";',
      "wait(1); return x;",
      "async setTimeout of node:timers/promises",
    ],
  ])("finds what is imported: %s", async (before, body, what) => {
    expect(found(await check(add(body, before)))).toEqual([what]);
  });

  it.each([
    ["let n = 0;", "n++; return n;"],
    ["let n = 0;", "n += x; return n;"],
    ["let n = 0;", "[n] = [x]; return n;"],
    ["const n: number[] = [];", "n.push(x); return n.length;"],
    ["const n = new Map<number, number>();", "n.set(x, 1); return n.size;"],
    ["const n: Record<string, number> = {};", "n['a'] = x; return x;"],
    ["const n = { of: { it: 0 } };", "n.of.it++; return x;"],
    ["const n = { list: [1] };", "n.list.push(x); return x;"],
    ["const n: { a?: number } = { a: 1 };", "delete n.a; return x;"],
    ["const n = {};", "Object.assign(n, { x }); return x;"],
    ["class n { static count = 0; }", "n.count++; return x;"],
  ])("finds state that outlives the call: %s %s", async (before, body) => {
    expect(found(await check(add(body, before)))).toEqual(["state writing to n"]);
  });

  it("finds state of a function that made the definition", async () => {
    const text = `${HEAD}
function made(name: string) {
  let calls = 0;
  return custom(name, { output: t.float64(), empty: () => 0, add: (s: number) => s + ++calls, read: (s) => s });
}
export const one = made("one");
`;
    const [impurity] = await check(text);
    expect(impurity).toMatchObject({ kind: "state", found: "writing to calls", role: "add" });
    expect(impurity!.definition).toMatch(/^custom aggregation at .*features-\d+\.ts:6$/);
  });

  it("finds functions that are asynchronous", async () => {
    expect(found(await check(compute("return { r: x };").replace("compute: ({", "compute: async ({")))).toEqual([
      "async an async function",
    ]);
    expect(found(await check(compute("return { r: Promise.resolve(x) };")))).toEqual(["async Promise.resolve"]);
  });
});

describe("through the project's own modules", () => {
  it("follows functions, constants, classes and objects, with the line of the module they stand in", async () => {
    const impurities = await check(
      `${HEAD}import * as tools from "./tools.ts";
import { helper, rules, Score, started } from "./tools.ts";
export const ratio = onDemand("ratio", { inputs: [], outputs: { r: t.float64() },
  compute: () => ({ r: helper(1) + rules.late() + new Score().of() + started + tools.indirect(2) }),
});
`,
      {
        "tools.ts": `import { deeper } from "./deeper.ts";
interface Gone { a: string }
export const helper = (x: number): number => [x].map(deeper)[0]!;
export const rules = { late: (): number => Date.now(), never: () => Math.random() };
export class Score {
  of(): number {
    return new Date().getUTCHours();
  }
}
export const started = performance.now();
export function indirect(x: number): number {
  return x > 0 ? indirect(x - 1) : crypto.randomUUID().length;
}
export const untouched = (): number => Math.random();
`,
        "deeper.ts": "\n\nexport const deeper = (x: number): number => x + new Date(0).getHours();\n",
      },
    );
    expect(impurities.map(({ where, found: name }) => `${where.slice(folder.length + 1)} ${name}`)).toEqual([
      "deeper.ts:3 getHours()",
      "tools.ts:4 Date.now",
      "tools.ts:7 new Date without arguments",
      "tools.ts:10 performance.now",
      "tools.ts:12 crypto.randomUUID",
    ]);
    expect(new Set(impurities.map(({ definition, role }) => `${definition} ${role}`))).toEqual(
      new Set(['on-demand view "ratio" compute']),
    );
  });

  it("finds the functions however the definition is written down", async () => {
    const impurities = await check(
      `import * as onefold from "onefold";
import { custom as aggregation, t } from "onefold";
import { functions } from "./functions.ts";
const NAME = "named";
const read = (s: number): number => s + Math.random();
export const user = onefold.entity("user", { user: t.string() });
export const a = aggregation(NAME, { ...functions, read });
export const b = onefold.custom("other", Object.freeze({ ...functions, add(s: number) { return s + Math.random(); } }));
`,
      {
        "functions.ts": `import { t } from "onefold";
export const functions = { output: t.float64(), empty: () => Date.now(), add: (s: number, x: number) => s + x, read: (s: number) => s };
`,
      },
    );
    expect(impurities.map(({ definition, role, found: name }) => `${definition} ${role} ${name}`).sort()).toEqual([
      'custom aggregation "named" empty Date.now',
      'custom aggregation "named" read Math.random',
      'custom aggregation "other" add Math.random',
      'custom aggregation "other" empty Date.now',
    ]);
  });

  it("reads the functions of custom transformations", () => {
    const code = `import { customTransformation } from "the-door";
      export const c = customTransformation("centred", { fit: (v) => Math.random(), apply: (v, m) => Math.log(v - m) });`;
    expect(findImpurities(code, "the-door")).toEqual([]);
    const map = { version: 3, sources: ["a.ts"], names: [], mappings: "AAAA;AACA", sourceRoot: "/project/" };
    const withMap = `${code}\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}\n`;
    expect(
      findImpurities(withMap, "the-door").map(({ role, found: name, where, severity }) => [
        role,
        name,
        where,
        severity,
      ]),
    ).toEqual([
      ["fit", "Math.random", "/project/a.ts:2", "warning"],
      ["apply", "Math.log", "/project/a.ts:2", "note"],
    ]);
  });
});

describe("outside of a definition's functions, and in pure ones", () => {
  it("finds nothing", async () => {
    const text = `${HEAD}
import { createHash } from "node:crypto";
import { format } from "node:util";
import { readFileSync } from "node:fs";
const loadedAt = Date.now();
let counter = 0;
export function unused(): number {
  counter++;
  return Math.random() + Number(readFileSync("x")) + loadedAt;
}
enum Level { Low, High }
const TABLE = new Map([[1, 2]]);
const WEIGHTS = [1, 2, 3].map((w) => w / 2);
class Sum { total = 0; add(x: number): this { this.total += x; return this; } }
const registered = { set: (x: number) => x, getDay: () => 1 };
export const streak = custom("streak", { output: t.float64(),
  empty: (): { list: number[]; day: number } => ({ list: [], day: 0 }),
  add: (state, x: number, eventTime) => {
    const list = [...state.list];
    list.push(x);
    let total = 0;
    for (const one of list) total += one;
    const seen = new Set<number>();
    list.forEach((one) => seen.add(one));
    const Date_ = new Date(eventTime / 1000);
    const sum = new Sum().add(total);
    return { list: list.sort((a, b) => a - b), day: Date_.getUTCDay() + sum.total + registered.set(1) + registered.getDay() };
  },
  merge: (a, b) => ({ list: [...a.list, ...b.list], day: Math.max(a.day, b.day, 10 ** 6) }),
  read: ({ list, day }) => Math.sqrt(day) + (TABLE.get(1) ?? 0) + WEIGHTS[Level.High]! + Date.UTC(2026, 0, 1) + list.length,
});
export const ratio = onDemand("ratio", { inputs: [], request: { Date: t.float64() }, outputs: { r: t.float64() },
  compute: (input, context) => {
    const Date = { now: () => input.Date };
    const process = { env: 1 };
    return { r: Date.now() + process.env + context.asOf + format("%d", 1).length + createHash("sha256").update("x").digest().length };
  },
});
`;
    expect(await check(text)).toEqual([]);
  });
});

describe("what is said of it", () => {
  it("names file and line, the definition and function, and what to do instead", async () => {
    const [impurity, ...others] = await check(add("return Date.now();"));
    expect(others).toEqual([]);
    expect(impurity).toEqual({
      severity: "warning",
      kind: "time",
      where: `${folder}/features-${files}.ts:5`,
      definition: 'custom aggregation "streak"',
      role: "add",
      found: "Date.now",
      problem: "reads this machine's clock",
      instead: "use eventTime, its third argument",
    });
    expect((await check(compute("return { r: Date.now() };")))[0]!.instead).toBe("use context.asOf");
    expect(explainImpurity("time", "read").instead).toBe("use asOf, its second argument");
    expect(explainImpurity("randomness", "compute").instead).toBe("use context.random()");
    expect(explainImpurity("state", "add").instead).toBe("keep it in the state");
  });

  it("is a note where it is of little consequence", async () => {
    const severities = (await check(add("console.log(x); return Math.log(x) + Math.random();"))).map(
      ({ kind, severity }) => `${kind} ${severity}`,
    );
    expect(severities.sort()).toEqual(["output note", "precision note", "randomness warning"]);
  });
});
