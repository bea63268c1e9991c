/**
 * The codebase tests itself: the import table of docs/ARCHITECTURE.md as data, and what keeps a tree readable.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Folder (or file) of src/ -> the layers it may import. A layer may always import itself. */
const ALLOWED_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  schema: ["base"],
  define: ["schema", "base"],
  fold: ["define", "schema", "base"],
  registry: ["define", "schema", "base"],
  vector: ["registry", "fold", "define", "schema", "base"],
  "online-store": ["schema", "base"],
  "offline-store": ["define", "schema", "base"],
  ingest: ["registry", "fold", "online-store", "offline-store", "define", "schema", "base"],
  training: ["vector", "registry", "fold", "online-store", "offline-store", "define", "schema", "base"],
  serve: ["vector", "registry", "fold", "online-store", "define", "schema", "base"],
  client: ["define", "base"],
  monitor: ["fold", "registry", "online-store", "offline-store", "define", "schema", "base"],
  testing: [
    "vector",
    "training",
    "fold",
    "registry",
    "online-store",
    "offline-store",
    "ingest",
    "define",
    "schema",
    "base",
  ],
  platform: [
    "monitor",
    "serve",
    "training",
    "vector",
    "ingest",
    "offline-store",
    "online-store",
    "registry",
    "fold",
    "define",
    "schema",
    "base",
  ],
  cli: ["platform", "registry", "define", "schema", "base"],
  index: ["platform", "cli", "define", "schema", "base", "registry", "fold", "training", "ingest", "serve"],
};

/** Implementations of the store interfaces: outside their folder only the composition root picks them. */
const STORE_ADAPTER =
  /^(?:online-store\/(?:lmdb|memory|redis\/redis-store)|offline-store\/(?:duckdb|open-duckdb|delta-(?:actions|checkpoint|clean-up|commit|erasure|log|redaction|state|table)))\.ts$/;

/** Packages with a state or a wire behind them: one file each knows them. */
const DRIVERS: readonly string[] = [
  "lmdb",
  "@duckdb/node-api",
  "apache-arrow",
  "fastify",
  "prom-client",
  "pg",
  "croner",
  "re2js",
  "@platformatic/kafka",
  "@opentelemetry/api",
  "@opentelemetry/exporter-metrics-otlp-http",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-metrics",
];
/** Known to two: the client has none of the server's code. */
const SHARED_DRIVERS: Readonly<Record<string, readonly string[]>> = {
  ioredis: ["client/resp-connection.ts", "online-store/redis/redis-client.ts"],
};

/** Where the published package can be entered; every other file must be reachable from one of them. */
const DOORS: readonly string[] = ["index.ts", "client/index.ts", "testing/index.ts", "cli/main.ts"];

const FORBIDDEN_NAMES: readonly string[] = ["utils", "util", "helpers", "helper", "common", "misc", "shared", "lib"];
/** Of a file in src/; tests and benches may have some more, as cases stand one beside the other. */
const LINES_MAX = 400;
const LINES_MAX_OF_CASES = 500;

interface SourceFile {
  /** Relative to src/, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Paths of the files it imports, relative to src/. */
  readonly imports: readonly string[];
  /** Packages it imports. */
  readonly packages: readonly string[];
}

function filesUnder(folder: string, endings: readonly string[]): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter((path) => !path.includes("node_modules/"))
    .toSorted();
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.ts)["']/g;

function parseImports(path: string, text: string): { imports: string[]; packages: string[] } {
  const imports: string[] = [];
  const packages: string[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const specifier = (match[1] ?? match[2] ?? match[3])!;
    if (!specifier.startsWith(".")) {
      packages.push(specifier);
      continue;
    }
    const target = relative(join(root, "src"), resolve(root, "src", dirname(path), specifier)).replaceAll("\\", "/");
    // A URL may also point at data beside src/, which is not code that runs with it.
    if (match[3] === undefined || !target.startsWith("..")) imports.push(target);
  }
  return { imports, packages };
}

const sources: ReadonlyMap<string, SourceFile> = new Map(
  filesUnder("src", [".ts"]).map((file) => {
    const path = file.slice("src/".length);
    const text = readFileSync(join(root, file), "utf8");
    return [path, { path, text, ...parseImports(path, text) }];
  }),
);

function layerOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
}

describe("time", () => {
  it("is asked of the machine by the clock alone", () => {
    const asking = [...sources.values()].filter(({ text }) => /\bDate\.now\(|\bnew Date\(\)|timeOrigin/.test(text));
    expect(asking.map(({ path }) => path)).toEqual(["base/clock.ts"]);
  });
});

describe("imports", () => {
  it("finds the imports it judges", () => {
    const { imports, packages } = parseImports(
      "fold/a.ts",
      'import "x";\nimport { a,\n b } from "./b.ts";\nexport * from "../base/c.ts";\nconst d = await import("../cli/d.ts");\n',
    );
    expect(imports).toEqual(["fold/b.ts", "base/c.ts", "cli/d.ts"]);
    expect(packages).toEqual(["x"]);
    expect(sources.get("base/micros.ts")!.imports).toEqual(["base/errors.ts"]);
  });

  it("point only where the table allows", () => {
    const wrong: string[] = [];
    for (const { path, imports } of sources.values()) {
      const layer = layerOf(path);
      const allowed = ALLOWED_IMPORTS[layer];
      if (allowed === undefined) wrong.push(`src/${path}: the folder ${layer} is not in the table`);
      for (const target of imports) {
        const targetLayer = layerOf(target);
        if (targetLayer === layer || allowed?.includes(targetLayer)) continue;
        wrong.push(`src/${path} imports ${target}: ${layer} may not import ${targetLayer}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("name files that exist", () => {
    const missing = [...sources.values()].flatMap(({ path, imports }) =>
      imports.filter((target) => !sources.has(target)).map((target) => `src/${path} imports ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it("keep the concrete stores behind their interfaces", () => {
    const wrong = [...sources.values()].flatMap(({ path, imports }) =>
      imports
        .filter((target) => STORE_ADAPTER.test(target) && layerOf(target) !== layerOf(path))
        .filter(() => !["platform", "testing"].includes(layerOf(path)))
        .map((target) => `src/${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("reach each driver from one file", () => {
    for (const driver of DRIVERS) {
      const importers = [...sources.values()]
        .filter(({ packages }) => packages.includes(driver))
        .map(({ path }) => path);
      expect(importers, `files that import ${driver}`).toHaveLength(1);
    }
    for (const [driver, files] of Object.entries(SHARED_DRIVERS)) {
      const importers = [...sources.values()].filter(({ packages }) => packages.includes(driver));
      expect(importers.map(({ path }) => path).toSorted(), `files that import ${driver}`).toEqual(files);
    }
  });

  it("form no cycle", () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      if (done.has(path) || trail.includes(path)) return;
      for (const target of sources.get(path)?.imports ?? []) visit(target, [...trail, path]);
      done.add(path);
    };
    for (const path of sources.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it("reach every file from a public door", () => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const target of sources.get(path)?.imports ?? []) visit(target);
    };
    for (const door of DOORS) {
      expect(sources.has(door), `src/${door} exists`).toBe(true);
      visit(door);
    }
    expect([...sources.keys()].filter((path) => !reached.has(path))).toEqual([]);
  });

  it("keep the fold pure: no Node modules, no packages, no clock, no randomness", () => {
    const impure = [...sources.values()]
      .filter(({ path }) => ["fold", "vector"].includes(layerOf(path)))
      .filter(
        ({ text, packages }) =>
          packages.length > 0 || /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.|\basync\s/.test(text),
      )
      .map(({ path }) => path);
    expect(impure).toEqual([]);
  });
});

describe("files", () => {
  const code = ["src", "test", "bench", "examples", "scripts"].flatMap((folder) => filesUnder(folder, [".ts", ".mjs"]));
  const text = (path: string): string => readFileSync(join(root, path), "utf8");

  it("have names that say what is inside", () => {
    const parts = (path: string): string[] => path.replace(/(\.test)?\.\w+$/, "").split("/");
    expect(code.filter((path) => parts(path).some((part) => FORBIDDEN_NAMES.includes(part)))).toEqual([]);
  });

  it(`hold one idea: at most ${LINES_MAX} lines in src/, ${LINES_MAX_OF_CASES} elsewhere`, () => {
    const long = code
      .map((path) => ({ path, lines: text(path).split("\n").length - 1 }))
      .filter(({ path, lines }) => lines > (path.startsWith("src/") ? LINES_MAX : LINES_MAX_OF_CASES))
      .map(
        ({ path, lines }) =>
          `${path} has ${lines} lines: find the second idea in it, and give that a file named after it`,
      );
    expect(long).toEqual([]);
  });

  it("say what they are in a doc comment", () => {
    expect(code.filter((path) => path.startsWith("src/") && !text(path).includes("/**"))).toEqual([]);
  });

  it("leave nothing for later", () => {
    // Character classes, so that this file does not find itself.
    const marks = /\b(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b/;
    expect(code.filter((path) => marks.test(text(path)))).toEqual([]);
  });

  it("skip no test and run none alone", () => {
    const tests = filesUnder("test", [".test.ts"]);
    const skipped = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|only|todo|fails)\b(?!If)|\bx(?:it|describe)\(/;
    expect(tests.filter((path) => skipped.test(text(path)))).toEqual([]);
  });

  it("name no place on one machine", () => {
    const documents = [...filesUnder("docs", [".md"]), "README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"];
    const privatePath = /(?:^|[\s"'`(=])\/(?:home|Users|root|work)\//m;
    const itself = "test/tidy.test.ts";
    expect([...code, ...documents].filter((path) => path !== itself && privatePath.test(text(path)))).toEqual([]);
  });
});
