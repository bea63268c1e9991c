/**
 * One text for one JSON value: keys sorted by code unit, no white space, -0 as 0. What custom states are
 * stored as.
 */
import { leaveUnheard } from "./unheard.ts";

/** Throws a plain `Error` for anything that is not JSON data: undefined, NaN, a Map, a cycle ... */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** The same for a part of a definition: members that are undefined left out, bytes as a list of numbers. */
export function definitionText(part: unknown): string {
  return canonicalJson(plainData(part));
}

function plainData(part: unknown): unknown {
  if (part instanceof Uint8Array) return { bytes: [...part] };
  if (Array.isArray(part)) return part.map(plainData);
  if (typeof part !== "object" || part === null) return part;
  const defined = Object.entries(part).filter(([, member]) => member !== undefined);
  return Object.fromEntries(defined.map(([name, member]) => [name, plainData(member)]));
}

const DEPTH_MAX = 200;

function write(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error("the state is not JSON data: nested too deeply, or a cycle");
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "number":
      if (!Number.isFinite(value)) throw new Error(`the state is not JSON data: it holds ${value}`);
      return JSON.stringify(value);
    case "object":
      break;
    default:
      throw new Error(`the state is not JSON data: it holds a value of type ${typeof value}`);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) {
    let text = "";
    for (let i = 0; i < value.length; i++) text += (i === 0 ? "" : ",") + write(value[i], depth + 1);
    return `[${text}]`;
  }
  leaveUnheard(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new Error("the state is not JSON data: it holds an object of a class");
  }
  const entries = value as Readonly<Record<string, unknown>>;
  let text = "";
  for (const key of Object.keys(entries).sort()) {
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${write(entries[key], depth + 1)}`;
  }
  return `{${text}}`;
}
