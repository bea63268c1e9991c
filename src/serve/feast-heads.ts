/**
 * Beginnings of requests on Feast's wire. Whoever asks for features asks for the same ones again and again, of other
 * entities each time, and the list is most of what it sends: a body that begins with the bytes of one before it says the
 * same up to its entities, which alone are parsed.
 *
 *     {"features": ["a:x", "a:y"], "full_feature_names": true, "entities": {"a": [1, 2]}}
 *     ╰─────────────────────── head ─────────────────────────╯╰───────── tail ──────────╯
 *
 * A head ends behind the comma of a field, and in a tail there are the entities and nothing else, so head and tail are
 * JSON together where the tail is behind a brace, and mean both. All other bodies are parsed as a whole.
 */
import { parseWideJson } from "../schema/json-text.ts";
import { bodyText } from "./request-body.ts";
import type { FeastColumns } from "./feast-rows.ts";
import type { KnownBodies } from "./route.ts";

/** What is asked for, of whatever entities. */
export interface FeastHead {
  readonly features?: readonly string[];
  readonly feature_service?: string | null;
  readonly full_feature_names?: boolean;
}

export interface OnlineFeaturesRequest extends FeastHead {
  readonly entities: FeastColumns;
}

/** A request whose head came before: one object for as long as it is known. */
export class KnownRequest {
  readonly head: FeastHead;
  readonly entities: FeastColumns;

  constructor(head: FeastHead, entities: FeastColumns) {
    this.head = head;
    this.entities = entities;
  }
}

const ENTITIES = Buffer.from('"entities"');
const BEYOND_ASCII = /[\u0080-\u00ff]/;
/** Callers choose heads, so that these bound what is kept of them; past them all is let go. */
const HEADS_MAX = 1000;
const HEADS_BYTES_MAX = 4 * 1024 * 1024;
const HEAD_BYTES_MAX = 128 * 1024;

export class FeastHeads implements KnownBodies {
  /** By their bytes, each a character. */
  readonly #heads = new Map<string, FeastHead>();
  #bytes = 0;

  find(bytes: Buffer, start: number, end: number): KnownRequest | null {
    if (this.#heads.size === 0) return null;
    const tail = tailStart(bytes, start, end);
    if (tail < 0) return null;
    const head = this.#heads.get(bytes.toString("latin1", start, tail));
    if (head === undefined) return null;
    const entities = entitiesOf(bytes, tail, end);
    return entities === null ? null : new KnownRequest(head, entities);
  }

  learn(bytes: Buffer, start: number, end: number): void {
    const tail = tailStart(bytes, start, end);
    if (tail < 0 || tail - start > HEAD_BYTES_MAX) return;
    const key = bytes.toString("latin1", start, tail);
    // Of a field that comes again behind the entities the last one was checked, and not the one in the head.
    if (this.#heads.has(key) || entitiesOf(bytes, tail, end) === null) return;
    const head = headOf(bytes.subarray(start, tail));
    if (head === null) return;
    this.#bytes += key.length;
    if (this.#heads.size >= HEADS_MAX || this.#bytes > HEADS_BYTES_MAX) {
      this.#heads.clear();
      this.#bytes = key.length;
    }
    this.#heads.set(key, head);
  }
}

/** Below zero where there is no tail. */
function tailStart(bytes: Buffer, start: number, end: number): number {
  const at = bytes.indexOf(ENTITIES, start);
  return at + ENTITIES.length > end ? -1 : at;
}

/** Of a body that is valid; null where it ends within a field. */
function headOf(bytes: Buffer): FeastHead | null {
  const text = bodyText(bytes).trimEnd();
  if (!text.endsWith(",")) return null;
  try {
    const { features, feature_service, full_feature_names } = JSON.parse(`${text.slice(0, -1)}}`) as FeastHead;
    // Whatever else it says is not kept: it may take many times its bytes.
    return {
      ...(features === undefined ? {} : { features }),
      ...(feature_service === undefined ? {} : { feature_service }),
      ...(full_feature_names === undefined ? {} : { full_feature_names }),
    };
  } catch {
    return null;
  }
}

/** Null where the tail is to be read with its head, by the ordinary way. */
function entitiesOf(bytes: Buffer, tail: number, end: number): FeastColumns | null {
  const text = bytes.toString("latin1", tail, end);
  if (BEYOND_ASCII.test(text)) return null;
  try {
    const fields = parseWideJson(`{${text}`) as Readonly<Record<string, unknown>>;
    const names = Object.keys(fields);
    const { entities } = fields;
    return names.length === 1 && isColumns(entities) ? entities : null;
  } catch {
    return null;
  }
}

/** As the route's schema has it. */
function isColumns(value: unknown): value is FeastColumns {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  for (const name of Object.keys(value)) {
    if (!Array.isArray((value as Readonly<Record<string, unknown>>)[name])) return false;
  }
  return true;
}
