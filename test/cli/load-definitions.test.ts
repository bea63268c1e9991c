import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { entity } from "../../src/define/entity.ts";
import { t } from "../../src/define/column-type.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import { withReferences } from "../../src/define/references.ts";
import { nodesOf } from "../../src/define/transformation-text.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "definitions-")));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return join(folder, Object.keys(files)[0]!);
}

async function refusal(path: string): Promise<OnefoldError> {
  return loadDefinitions(path).then(
    () => {
      throw new Error("it was loaded");
    },
    (error: OnefoldError) => error,
  );
}

const SOURCES = `import { col, entity, stream, t } from "onefold";
export type Unused = string;
export const user = entity("user", { user: t.string() });
export const payments = stream("payments", {
  columns: { user: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
  derive: { big: col("amount").gt(100) },
});
`;

describe("loading definitions", () => {
  it("takes a view that services pick from, rename and prefix as the one view it is", async () => {
    const path = await write({
      "features.ts": `import { count, onDemand, service, sum, t, view } from "onefold";
import { payments, user } from "./sources.ts";

export const spend = view("spend", {
  entity: user,
  source: payments,
  features: { payments_1h: count().over("1h"), total: sum("amount") },
});
export const picked = service("picked", { features: [spend.pick("total")] });
export const prefixed = service("prefixed", { features: [spend.prefix("user_")] });
export const renamed = service("renamed", { features: [spend.rename({ total: "sum" })] });
`,
      "sources.ts": SOURCES,
    });
    const { definitions } = await loadDefinitions(path);
    expect(definitions.filter(({ kind }) => kind === "view")).toHaveLength(1);
    const registry = await openFileRegistry(join(folder, "registry"), { clock: systemClock });
    await registry.apply(definitions);
    expect(registry.service("renamed").definition.features.map((feature) => feature.as)).toEqual([
      "payments_1h",
      "sum",
    ]);
    expect(registry.find({ kind: "service", entity: "user" })).toHaveLength(3);
    expect(registry.find({ kind: "stream", entity: "user" })).toHaveLength(1);
    expect(() => registry.find({ entity: "nobody" })).toThrow(expect.objectContaining({ code: "ENTITY_UNKNOWN" }));
  });

  it("collects what a file exports and what that was built from, in order of reference", async () => {
    const path = await write({
      "features.ts": `import { count, service, view } from "onefold";
import { payments, user } from "./sources.ts";

const spend = view("spend", { entity: user, source: payments, features: { payments_1h: count().over("1h") } });
export const model = service("model", { features: [spend] });
export const notADefinition: number = 1;
`,
      "sources.ts": SOURCES,
    });
    const { definitions, files } = await loadDefinitions(path);
    expect(definitions.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "entity user",
      "stream payments",
      "view spend",
      "service model",
    ]);
    expect(files.sort()).toEqual([join(folder, "features.ts"), join(folder, "sources.ts")]);
    expect(definitions.map(({ definedAt }) => `${definedAt?.file}:${definedAt?.line}`)).toEqual([
      `${folder}/sources.ts:3`,
      `${folder}/sources.ts:4`,
      `${folder}/features.ts:4`,
      `${folder}/features.ts:5`,
    ]);
  });

  it("makes the definitions with this package's own code, and finds those in arrays", async () => {
    const path = await write({ "features.ts": `${SOURCES}export const all = [[user], payments];` });
    const { definitions } = await loadDefinitions(path);
    expect(definitions).toHaveLength(2);
    expect(withReferences(definitions)).toEqual(definitions);
    const { definedAt: _, ...loaded } = definitions[0]!;
    const { definedAt: __, ...own } = entity("user", { user: t.string() });
    expect(loaded).toEqual(own);
  });

  it("runs top-level await, JavaScript files and packages written as CommonJS", async () => {
    const path = await write({
      "features.js": `import helper from "./helper.cjs";
import { entity, t } from "onefold";
export const user = entity(await Promise.resolve(helper.name), { user: t.string() });
`,
      "helper.cjs": `const { basename } = require("path"); module.exports = { name: basename("/a/user") };`,
    });
    expect((await loadDefinitions(path)).definitions[0]!.name).toBe("user");
  });

  it.each([
    ["a syntax error", { "features.ts": "export const a = ;\n" }, "features.ts:1", /Unexpected/],
    [
      "a missing module",
      { "features.ts": '\nimport { a } from "./gone.ts";\nexport { a };\n' },
      "features.ts:2",
      /gone/,
    ],
    [
      "a missing package",
      { "features.ts": 'import a from "no-such-package";\nexport { a };' },
      "features.ts:1",
      /no-such/,
    ],
    ["a module that throws", { "features.ts": '\n\nthrow new Error("broken");\n' }, "features.ts:3", /broken/],
    [
      "a module that throws behind another",
      {
        "features.ts": 'import { a } from "./b.ts";\nexport { a };\n',
        "b.ts": "export const a: number = 1;\n(null as any).x;\n",
      },
      "b.ts:2",
      /null/,
    ],
    [
      "a name that stands twice in an object",
      {
        "features.ts": `import { count, sum, view } from "onefold";
import { payments, user } from "./sources.ts";
export const spend = view("spend", { entity: user, source: payments, features: {
  recent: count().over("1h"),
  recent: sum("amount"),
} });
`,
        "sources.ts": SOURCES,
      },
      "features.ts:5",
      /Duplicate key "recent"/,
    ],
    [
      "what Onefold's own code trips over, with the line that called it,",
      {
        "features.ts": 'import { entity } from "onefold";\n\nexport const user = entity("user", { user: "string" });\n',
      },
      "features.ts:3",
      /Cannot read properties/,
    ],
    ["no definition", { "features.ts": "export const a = 1;\n" }, "features.ts", /exports no definition/],
  ])("refuses %s with file and line", async (_, files, where, message) => {
    const error = await refusal(await write(files as Record<string, string>));
    expect(error.code).toBe("DEFINITION_UNREADABLE");
    expect(error.where).toBe(join(folder, where));
    expect(error.message).toMatch(message);
  });

  it("refuses a file that is not there", async () => {
    expect((await refusal(join(folder, "gone.ts"))).code).toBe("DEFINITION_UNREADABLE");
  });

  it("names modules that import each other where one of them throws of what the other has not defined yet", async () => {
    const circle = {
      "features.ts": 'import { spend } from "./b.ts";\nexport const name = "a";\nexport { spend };\n',
      "b.ts": 'import { name } from "./features.ts";\nexport const spend = name.length;\n',
    };
    const error = await refusal(await write(circle));
    expect(error.where).toBe(join(folder, "b.ts:2"));
    expect(error.message).toMatch(/Cannot read properties of undefined/);
    expect(error.hint).toMatch(/^b\.ts and features\.ts import each other/);
    const straight = await write({ ...circle, "b.ts": "export const spend = (undefined as any).length;\n" });
    expect((await refusal(straight)).hint).toBeUndefined();
  });

  it("passes on why a definition is refused, with the line of the file as it was written", async () => {
    const path = await write({
      "features.ts": `${SOURCES}
import { mean, view } from "onefold";
interface NeverEmitted {
  a: string;
}
export const wrong = view("wrong", {
  entity: user,
  source: payments,
  features: { a: mean("amuont" as any) },
} as any);
`,
    });
    const error = await refusal(path);
    expect(error.code).toBe("DEFINITION_INVALID");
    expect(error.where).toBe(`${path}:14`);
    expect(error.message).toContain('did you mean "amount"?');
  });

  describe("code fingerprints", () => {
    const custom = (body: string): string => `import { custom, t } from "onefold";
import { weight } from "./weight.ts";
/* a comment that means nothing */
export const score = custom("score", {
  output: t.float64(),
  empty: () => 0,
  add: (state: number, amount: number) => ${body},
  read: (state: number) => state,
});
`;
    const features = (extra: string): string => `import { view, count } from "onefold";
import { payments, user } from "./sources.ts";
import { score } from "./score.ts";
export const spend = view("spend", { entity: user, source: payments, features: { score: score("amount") } });
${extra}
`;
    const load = async (files: Readonly<Record<string, string>>): Promise<string> => {
      const path = await write({
        "features.ts": features(""),
        "sources.ts": SOURCES,
        "score.ts": custom("state + amount * weight"),
        "weight.ts": "export const weight = 2;\nexport const unused = 1;\n",
        ...files,
      });
      const { definitions } = await loadDefinitions(path);
      return fingerprint(definitions.find(({ kind }) => kind === "view")!);
    };

    it("stay the same while only what is not reached, comments, white space or unused exports change", async () => {
      const before = await load({});
      expect(await load({})).toBe(before);
      expect(await load({ "features.ts": features("export const two = 2;") })).toBe(before);
      expect(await load({ "score.ts": `// other words\n${custom("state  +  amount  *  weight")}` })).toBe(before);
      expect(await load({ "weight.ts": "export const weight = 2;\nexport const unused = 5;\n" })).toBe(before);
    });

    it("change with the function, and with what it reaches in another module", async () => {
      const before = await load({});
      expect(await load({ "score.ts": custom("state - amount * weight") })).not.toBe(before);
      expect(await load({ "weight.ts": "export const weight = 3;\n" })).not.toBe(before);
    });

    it("of custom transformations are of their code, however deep they stand in a service", async () => {
      const scaled = (body: string): string => `import { customTransformation, t } from "onefold";
export const scaled = customTransformation("scaled", { output: t.float64(), apply: (value: number) => ${body} });
`;
      const loadService = async (files: Readonly<Record<string, string>>): Promise<ServiceDefinition> => {
        const path = await write({
          "features.ts": `import { count, log1p, minMax, service, view } from "onefold";
import { payments, user } from "./sources.ts";
import { scaled } from "./scaled.ts";
export const spend = view("spend", { entity: user, source: payments, features: { payments: count() } });
export const model = service("model", {
  features: [spend],
  transform: { x: minMax(scaled(log1p("payments"))), y: scaled("payments") },
});
`,
          "sources.ts": SOURCES,
          "scaled.ts": scaled("value * 2"),
          ...files,
        });
        const { definitions } = await loadDefinitions(path);
        return definitions.find((one) => one.kind === "service")!;
      };
      const before = await loadService({});
      const codes = before
        .transform!.flatMap(({ node }) => nodesOf(node))
        .flatMap((node) => (node.op === "custom" ? [node.custom.codeFingerprint] : []));
      expect(codes).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), codes[0]]);
      expect(fingerprint(await loadService({ "scaled.ts": `// said otherwise\n${scaled("value  *  2")}` }))).toBe(
        fingerprint(before),
      );
      expect(fingerprint(await loadService({ "scaled.ts": scaled("value * 3") }))).not.toBe(fingerprint(before));
    });
  });
});
