/**
 * What lies where on Redis. With the prefix `of:`,
 *
 *     of:{<entity key>}<space>    a string: the state's version (`stored-state.ts`) and the state, packed (`packed-bytes.ts`)
 *     of:metas                    a hash: all metas by name
 *     of:{<tag>}written           empty, one on each master of a cluster: what replicas are asked for (`cluster-replicas.ts`)
 *     of:{<tag>}marks             a hash in the first and the last slot of each group of a cluster (`slot-marks.ts`)
 *
 * The braces are a hash tag: Redis Cluster places a key by what stands in them, so all views of an entity are in one
 * slot, and are read by one command and written by one script. Keys of different entity types may share a slot; they
 * are told apart by their space. A tag ends at its first `}` and must not be empty, so `}` and `%` are escaped in it as
 * in a URL, and an empty key is `%` alone.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import type { StateSpace } from "../online-store.ts";

export class RedisKeys {
  readonly metas: string;
  readonly #start: string;

  constructor(prefix: string) {
    this.metas = `${prefix}metas`;
    this.#start = `${prefix}{`;
  }

  state(space: StateSpace, key: EntityKey): string {
    return `${this.#start}${tagOf(key)}}${space}`;
  }

  /** One that lies where the tag does; no space is called so. */
  mark(tag: string): string {
    return `${this.#start}${tag}}written`;
  }

  /** A hash that lies where the tag does. */
  marks(tag: string): string {
    return `${this.#start}${tag}}marks`;
  }

  /** A glob that all keys of a space match, and perhaps others: ask `entityKey` of each. */
  patternOf(space: StateSpace): string {
    return `${escapeGlob(this.#start)}*}${escapeGlob(space)}`;
  }

  /** The entity's key, or null where it is not of the space. */
  entityKey(space: StateSpace, key: string): EntityKey | null {
    if (!key.startsWith(this.#start)) return null;
    const end = key.indexOf("}", this.#start.length);
    return end !== -1 && key.slice(end + 1) === space ? keyOf(key.slice(this.#start.length, end)) : null;
  }
}

/** What stands in the braces of an entity's keys. */
export function tagOf(key: EntityKey): string {
  if (key === "") return "%";
  return key.includes("%") || key.includes("}") ? key.replaceAll("%", "%25").replaceAll("}", "%7d") : key;
}

/** The same of a key on Redis, in byte strings; null where it is none of a state. */
export function tagIn(name: string): string | null {
  const start = name.indexOf("{");
  return start === -1 ? null : name.slice(start + 1, name.indexOf("}", start));
}

function keyOf(tag: string): EntityKey {
  return tag === "%" ? "" : tag.replaceAll("%7d", "}").replaceAll("%25", "%");
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^-]/g, "\\$&");
}
