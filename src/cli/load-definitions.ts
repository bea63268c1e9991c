/**
 * Definitions files: bundles a TypeScript or JavaScript file with what it imports, runs it, and collects
 * the definitions it exports and those they were built from.
 *
 * `onefold` itself stays outside the bundle and is this very package, so that the definitions are made by
 * the same code that reads them. The functions of custom aggregations, custom transformations and on-demand views
 * get a fingerprint, the hash of the code that they reach (`reached-code/`).
 */
import { randomUUID } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type BuildFailure, type BuildOptions, type Message, type Plugin } from "esbuild";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { moduleFile } from "../base/package-files.ts";
import { type DefinedAt, topOfStack } from "../define/defined-at.ts";
import type { Definition, FeatureDefinition, ServiceDefinition } from "../define/definition.ts";
import type { CustomTransformation, TransformationNode } from "../define/transformation-definition.ts";
import { withReferences } from "../define/references.ts";
import { nodesOf } from "../define/transformation-text.ts";
import { circleHint, importCircle } from "./import-circle.ts";
import type { CodeFingerprints } from "./reached-code/code-fingerprints.ts";
import type { DefinitionCode } from "./reached-code/roots.ts";

export interface LoadedDefinitions {
  /** What is referred to before what refers; each once. */
  readonly definitions: Definition[];
  /** The file and all modules of the project that it imports, absolute: what to watch for changes. */
  readonly files: string[];
  /** All of the project's code as it was run, one ES module with its source map, for who wants to read it. */
  readonly code: string;
}

/**
 * Loads a definitions file. Throws `DEFINITION_UNREADABLE` with file and line for a file that is missing,
 * has a syntax error, writes a member of an object twice, imports what is not there, throws while it runs or exports no definition; and
 * `DEFINITION_INVALID` for a definition that contradicts itself.
 */
export async function loadDefinitions(path: string): Promise<LoadedDefinitions> {
  const file = resolve(path);
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) {
    throw new OnefoldError("DEFINITION_UNREADABLE", `there is no definitions file ${path}`, { where: file });
  }
  const { code, files, circle } = await bundle(file);
  const exported = await run(file, code, circle);
  const definitions = withReferences(collect(Object.values(exported)));
  if (definitions.length === 0) {
    throw new OnefoldError("DEFINITION_UNREADABLE", `${path} exports no definition`, {
      where: file,
      hint: "export what entity(), stream(), view() and service() return",
    });
  }
  return { definitions: await withCodeFingerprints(definitions, code, file), files, code };
}

/** This package's public door, as source or as built. */
const DOOR: string = moduleFile("index")!;

/** Whoever hands the DSL what it trips over wants the line of their own call. */
function isOurs(file: string): boolean {
  return file.startsWith(dirname(DOOR) + sep) || file.startsWith("node:");
}

/** The specifier under which loaded code imports `onefold`. */
export const DOOR_URL: string = pathToFileURL(DOOR).href;

/** Leaves `onefold` outside the bundle, as this very package: definitions are made by the code that reads them. */
const thisDoor: Plugin = {
  name: "onefold",
  setup(builder) {
    builder.onResolve({ filter: /^onefold$/ }, () => ({ path: DOOR_URL, external: true }));
    // The package's own tests import the door by its path.
    builder.onResolve({ filter: /index\.[tj]s$/ }, ({ path, resolveDir }) =>
      resolve(resolveDir, path) === DOOR ? { path: DOOR_URL, external: true } : undefined,
    );
  },
};

/** How the project's own code becomes one ES module that Node 20 runs. */
export const COMMON: Readonly<Pick<BuildOptions, "bundle" | "format" | "platform" | "target" | "logLevel">> = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  logLevel: "silent",
};

async function bundle(
  file: string,
): Promise<{ readonly code: string; readonly files: string[]; readonly circle: string[] }> {
  const result = await build({
    ...COMMON,
    write: false,
    entryPoints: [file],
    absWorkingDir: dirname(file),
    outfile: join(dirname(file), "definitions.mjs"),
    sourcemap: "inline",
    sourceRoot: `${dirname(file)}/`,
    metafile: true,
    plugins: [thisDoor],
    define: { "import.meta.url": JSON.stringify(pathToFileURL(file).href) },
    banner: { js: requireOf(file) },
  }).catch((failure: BuildFailure) => {
    throw unreadable(file, failure);
  });
  refuseTwice(file, result.warnings);
  const files = Object.keys(result.metafile.inputs).map((input) => resolve(dirname(file), input));
  return {
    code: result.outputFiles[0]!.text,
    files: files.filter((input) => !input.includes("node_modules")),
    circle: importCircle(result.metafile),
  };
}

/** Of a feature or column that is written twice, the first would be gone without a word. Not our business in packages. */
function refuseTwice(file: string, warnings: readonly Message[]): void {
  const errors = warnings.filter(
    ({ id, location }) => id === "duplicate-object-key" && location !== null && !location.file.includes("node_modules"),
  );
  if (errors.length > 0) throw unreadable(file, { errors });
}

/** Code written as CommonJS calls `require` for what Node brings along. */
export function requireOf(file: string): string {
  return `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(${JSON.stringify(file)});`;
}

export function unreadable(file: string, failure: Pick<BuildFailure, "errors"> & Partial<Error>): OnefoldError {
  const [first] = failure.errors ?? [];
  const location = first?.location;
  const place =
    location === null || location === undefined ? file : `${resolve(dirname(file), location.file)}:${location.line}`;
  const more = (failure.errors?.length ?? 0) > 1 ? ` (and ${failure.errors.length - 1} more)` : "";
  return new OnefoldError("DEFINITION_UNREADABLE", `${first?.text ?? failure.message}${more}`, {
    where: place,
    cause: failure,
  });
}

/** Runs the bundle, of whose modules those of `circle` import each other, and returns what it exports. */
async function run(file: string, code: string, circle: readonly string[]): Promise<Record<string, unknown>> {
  const temporary = join(tmpdir(), `onefold-definitions-${randomUUID()}.mjs`);
  const mappedBefore = process.sourceMapsEnabled;
  // So that the places of definitions and errors are lines of the file as it was written.
  process.setSourceMapsEnabled(true);
  try {
    await writeFile(temporary, code, { mode: 0o600 });
    return (await import(/* @vite-ignore */ pathToFileURL(temporary).href)) as Record<string, unknown>;
  } catch (error) {
    if (isOnefoldError(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const at = error instanceof Error ? topOfStack(error.stack, isOurs) : undefined;
    throw new OnefoldError("DEFINITION_UNREADABLE", `it throws while it runs: ${message}`, {
      where: at === undefined ? file : `${at.file}:${at.line}`,
      ...(circle.length > 1 && /undefined/.test(message) ? { hint: circleHint(circle) } : {}),
      cause: error,
    });
  } finally {
    process.setSourceMapsEnabled(mappedBefore);
    await rm(temporary, { force: true });
  }
}

/** The definitions among exported values, in arrays and plain objects too. */
function collect(values: readonly unknown[]): Definition[] {
  return values.flatMap((value) => {
    if (Array.isArray(value)) return collect(value);
    return isDefinition(value) ? [value] : [];
  });
}

const KINDS: ReadonlySet<unknown> = new Set([
  "entity",
  "stream",
  "batch",
  "view",
  "on-demand",
  "service",
  "experiment",
  "webhook",
  "command",
  "alert",
  "retrain",
] satisfies Definition["kind"][]);

function isDefinition(value: unknown): value is Definition {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    KINDS.has(value.kind) &&
    "name" in value &&
    typeof value.name === "string"
  );
}

/** What hashes the code of a definition's functions, given by the options' names. */
type HashOf = (
  functions: Readonly<Record<string, DefinitionCode | undefined>>,
  definedAt: DefinedAt | undefined,
) => Promise<string>;

async function withCodeFingerprints(
  definitions: readonly Definition[],
  code: string,
  file: string,
): Promise<Definition[]> {
  let fingerprints: Promise<CodeFingerprints> | undefined;
  // One aggregation stands in many features; each call that makes one has an object of its own for its place.
  const hashes = new Map<DefinedAt, string>();
  const hashOf: HashOf = async (functions, definedAt) => {
    fingerprints ??= readCode(code, file);
    const known = definedAt && hashes.get(definedAt);
    const hash = known ?? (await fingerprints).of(functions, definedAt);
    if (definedAt !== undefined) hashes.set(definedAt, hash);
    return hash;
  };
  return Promise.all(definitions.map((definition) => withCodeFingerprint(definition, hashOf)));
}

/** The parser is loaded only where there is a function to read. */
async function readCode(code: string, file: string): Promise<CodeFingerprints> {
  const { CodeFingerprints } = await import("./reached-code/code-fingerprints.ts");
  return new CodeFingerprints(code, { door: DOOR_URL, url: pathToFileURL(file).href });
}

async function withCodeFingerprint(definition: Definition, hashOf: HashOf): Promise<Definition> {
  if (definition.kind === "on-demand") {
    const { compute, definedAt } = definition;
    return Object.freeze({ ...definition, codeFingerprint: await hashOf({ compute }, definedAt) });
  }
  if (definition.kind === "service") return withTransformHashes(definition, hashOf);
  if (definition.kind !== "view" || definition.features.every((feature) => feature.aggregation.custom === undefined)) {
    return definition;
  }
  const features = await Promise.all(definition.features.map((feature) => withCustomHash(feature, hashOf)));
  return Object.freeze({ ...definition, features: Object.freeze(features) });
}

async function withCustomHash(feature: FeatureDefinition, hashOf: HashOf): Promise<FeatureDefinition> {
  const { custom } = feature.aggregation;
  if (custom === undefined) return feature;
  const { empty, add, merge, read, definedAt } = custom;
  const codeFingerprint = await hashOf({ empty, add, merge, read }, definedAt);
  const aggregation = Object.freeze({ ...feature.aggregation, custom: Object.freeze({ ...custom, codeFingerprint }) });
  return Object.freeze({ ...feature, aggregation });
}

async function withTransformHashes(service: ServiceDefinition, hashOf: HashOf): Promise<ServiceDefinition> {
  const { transform = [] } = service;
  const hashed = new Map<CustomTransformation, CustomTransformation>();
  for (const node of transform.flatMap((one) => nodesOf(one.node))) {
    if (node.op !== "custom") continue;
    const { fit, apply, definedAt } = node.custom;
    const codeFingerprint = await hashOf({ fit, apply }, definedAt);
    hashed.set(node.custom, Object.freeze({ ...node.custom, codeFingerprint }));
  }
  if (hashed.size === 0) return service;
  const replace = (node: TransformationNode): TransformationNode => {
    if (node.op === "input") return node;
    if (node.op === "cross") return Object.freeze({ ...node, inputs: Object.freeze(node.inputs.map(replace)) });
    const input = replace(node.input);
    return Object.freeze(
      node.op === "custom" ? { ...node, input, custom: hashed.get(node.custom)! } : { ...node, input },
    );
  };
  const replaced = transform.map((one) => Object.freeze({ ...one, node: replace(one.node) }));
  return Object.freeze({ ...service, transform: Object.freeze(replaced) });
}
