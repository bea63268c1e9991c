/**
 * What a pure function has no business with, by name: globals, members of Node's modules, and methods whose
 * names give them away whatever they are called on.
 */
import { builtinModules } from "node:module";

/**
 * `precision`: pure, but its last bits are the engine's choice. `output`: changes no value. Both are notes, all others warnings.
 */
export type ImpurityKind =
  | "time"
  | "local"
  | "randomness"
  | "input-output"
  | "output"
  | "state"
  | "async"
  | "unreadable"
  | "precision";

/** Longer paths first: the first that a name begins with decides. */
const GLOBALS: readonly (readonly [path: string, kind: ImpurityKind])[] = [
  ["Date.now", "time"],
  ["performance", "time"],
  ["Temporal.Now", "time"],
  ["process.hrtime", "time"],
  ["process.uptime", "time"],
  ["Math.random", "randomness"],
  ["crypto.getRandomValues", "randomness"],
  ["crypto.randomUUID", "randomness"],
  ["Intl", "local"],
  ["console", "output"],
  ["process", "input-output"],
  ["fetch", "input-output"],
  ["XMLHttpRequest", "input-output"],
  ["WebSocket", "input-output"],
  ["EventSource", "input-output"],
  ["BroadcastChannel", "input-output"],
  ["require", "input-output"],
  ["setTimeout", "async"],
  ["setInterval", "async"],
  ["setImmediate", "async"],
  ["queueMicrotask", "async"],
  ["Promise", "async"],
  ["eval", "unreadable"],
  ["Function", "unreadable"],
];

/** IEEE 754 does not say how these are rounded. */
const ROUNDED_AS_THE_ENGINE_LIKES: ReadonlySet<string> = new Set(
  "acos acosh asin asinh atan atan2 atanh cbrt cos cosh exp expm1 hypot log log10 log1p log2 pow sin sinh tan tanh".split(
    " ",
  ),
);

/** Methods of dates, texts and numbers that go by this machine's time zone or locale. */
const LOCAL_METHODS: ReadonlySet<string> = new Set([
  ...["FullYear", "Month", "Date", "Hours", "Minutes", "Seconds", "Milliseconds"].flatMap((part) => [
    `get${part}`,
    `set${part}`,
  ]),
  "getDay",
  "getYear",
  "getTimezoneOffset",
  "toDateString",
  "toTimeString",
  "toLocaleString",
  "toLocaleDateString",
  "toLocaleTimeString",
  "toLocaleLowerCase",
  "toLocaleUpperCase",
  "localeCompare",
]);

const BUILTINS: ReadonlySet<string> = new Set(builtinModules);
/** Modules of Node that compute and do nothing else. */
const PURE_BUILTINS: ReadonlySet<string> = new Set(
  "assert assert/strict buffer path path/posix punycode querystring string_decoder url util util/types".split(" "),
);
/** Kind of a module of Node as a whole; any other is input and output. */
const BUILTIN_KINDS: Readonly<Record<string, ImpurityKind>> = {
  perf_hooks: "time",
  timers: "async",
  "timers/promises": "async",
};
const RANDOM_OF_CRYPTO = /^(?:random|getRandom|generate|webcrypto)/;

/**
 * The kind of what a global or import names, or null where it is harmless. `path` begins with the global's
 * name or the imported module's.
 */
export function impureName(path: readonly string[]): ImpurityKind | null {
  const [root, ...members] = path as readonly [string, ...string[]];
  if (root.startsWith("node:")) return kindOfBuiltin(root.slice("node:".length), members);
  if (root === "Math" && ROUNDED_AS_THE_ENGINE_LIKES.has(members[0] ?? "")) return "precision";
  if (members.some((member) => LOCAL_METHODS.has(member))) return "local";
  const name = path.join(".");
  return GLOBALS.find(([known]) => name === known || name.startsWith(`${known}.`))?.[1] ?? null;
}

/** The name that an imported module goes by here: Node's own always with `node:`, so that none is taken for a global. */
export function importedName(module: string): string {
  return BUILTINS.has(module) ? `node:${module}` : module;
}

function kindOfBuiltin(module: string, members: readonly string[]): ImpurityKind | null {
  if (module === "process" || module === "console") return impureName([module, ...members]);
  if (module === "crypto") return RANDOM_OF_CRYPTO.test(members[0] ?? "") ? "randomness" : null;
  if (PURE_BUILTINS.has(module)) return null;
  return BUILTIN_KINDS[module] ?? "input-output";
}

export function isLocalMethod(name: string): boolean {
  return LOCAL_METHODS.has(name);
}

/** Where a function stands in its definition; what it can use instead depends on it. */
export type Role = "empty" | "add" | "merge" | "read" | "compute" | "fit" | "apply";

const TIME_INSTEAD: Readonly<Partial<Record<Role, string>>> = {
  add: "use eventTime, its third argument",
  read: "use asOf, its second argument",
  compute: "use context.asOf",
};

/** What is wrong with it, and what to do instead. */
export function explainImpurity(
  kind: ImpurityKind,
  role: Role,
): { readonly problem: string; readonly instead: string } {
  switch (kind) {
    case "time":
      return {
        problem: "reads this machine's clock",
        instead: TIME_INSTEAD[role] ?? "take times from what the function is given",
      };
    case "local":
      return {
        problem: "depends on this machine's time zone, locale or ICU data",
        instead: "use the getUTC... methods, or compare texts with < and >",
      };
    case "randomness":
      return {
        problem: "gives another value each time",
        instead: role === "compute" ? "use context.random()" : "compute it from what the function is given",
      };
    case "input-output":
      return {
        problem: "reaches outside the function",
        instead: "put what it needs into the event, the request or another feature",
      };
    case "output":
      return { problem: "writes a line for each call", instead: "look at values with onefold preview and explain" };
    case "state":
      return {
        problem: "outlives the call, so that another order or another process gives other values",
        instead: role === "add" || role === "merge" || role === "empty" ? "keep it in the state" : "compute it anew",
      };
    case "async":
      return { problem: "gives its result later, where a value is needed now", instead: "compute the value in place" };
    case "unreadable":
      return { problem: "runs code that is made at run time and cannot be checked", instead: "write the function out" };
    case "precision":
      return {
        problem: "may differ in its last bits between engines",
        instead: "where that matters keep to + - * / and Math.sqrt, or round",
      };
  }
}
