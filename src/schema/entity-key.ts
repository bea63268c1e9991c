/**
 * Entity keys as canonical text: what states are stored under and compared by in every store.
 *
 * One key column: its text. Several: each text with `\` and `|` escaped by `\`, joined by `|`, so that
 * ("a|b", "c") and ("a", "b|c") stay two keys. int64 is decimal text without leading zeros, bool is
 * `true`/`false`, a timestamp its microseconds as decimal text, bytes lower-case hex.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Value, ValueType } from "./value.ts";

export type EntityKey = string;

/** Longest key as UTF-8, set by the smallest key limit among the stores. */
export const KEY_BYTES_MAX = 1024;

/** Canonical text of one key. Throws `KEY_MISSING` for a null part and `KEY_TOO_LONG` past 1,024 bytes. */
export function encodeEntityKey(parts: readonly Value[], types: readonly ValueType[]): EntityKey {
  let key: string;
  if (parts.length === 1) {
    key = keyPartText(parts[0]!, types[0]!);
  } else {
    key = "";
    for (let i = 0; i < types.length; i++) {
      if (i > 0) key += "|";
      key += escapePart(keyPartText(parts[i] ?? null, types[i]!));
    }
  }
  if (key.length > KEY_BYTES_MAX / 3 && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw keyTooLong(Buffer.byteLength(key));
  }
  return key;
}

export function keyTooLong(bytes: number): OnefoldError {
  return new OnefoldError("KEY_TOO_LONG", `an entity key of ${bytes} bytes`, {
    hint: `keys are limited to ${KEY_BYTES_MAX} bytes as text; hash long identifiers before sending them`,
  });
}

let lastOwnKey: EntityKey = "";

/**
 * The same key, holding on to no larger text that it was cut from: for keys that are kept. Where an entity is kept by
 * many, one after another, they share the text.
 */
export function ownKey(key: EntityKey): EntityKey {
  if (key !== lastOwnKey) lastOwnKey = Buffer.from(key).toString();
  return lastOwnKey;
}

/** The texts of a key's parts, in order: the inverse of the joining above. */
export function splitEntityKey(key: EntityKey, partCount: number): string[] {
  if (partCount === 1) return [key];
  if (!key.includes("\\")) return key.split("|");
  const parts: string[] = [];
  let part = "";
  for (let i = 0; i < key.length; i++) {
    const char = key[i]!;
    if (char === "\\") part += key[++i] ?? "";
    else if (char === "|") {
      parts.push(part);
      part = "";
    } else part += char;
  }
  parts.push(part);
  return parts;
}

function keyPartText(value: Value, type: ValueType): string {
  if (value === null || value === undefined) {
    throw new OnefoldError("KEY_MISSING", "an entity key column is null or missing");
  }
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new OnefoldError("TYPE_MISMATCH", `a value of type ${type.name} cannot be part of an entity key`);
}

function escapePart(text: string): string {
  return text.includes("\\") || text.includes("|") ? text.replace(/[\\|]/g, "\\$&") : text;
}

/** The typed parts of a key: the inverse of `encodeEntityKey`. */
export function decodeEntityKey(key: EntityKey, types: readonly ValueType[]): Value[] {
  return splitEntityKey(key, types.length).map((text, i) => keyPartValue(text, types[i]!));
}

function keyPartValue(text: string, type: ValueType): Value {
  switch (type.name) {
    case "int64":
      return type.wide === true ? text : Number(text);
    case "float64":
    case "timestamp":
      return Number(text);
    case "bool":
      return text === "true";
    case "bytes":
      return new Uint8Array(Buffer.from(text, "hex"));
    default:
      return text;
  }
}
