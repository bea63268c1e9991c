/** What is asked or written of states, in commands of which each has all of an entity. */
import type { EntityKey } from "../../schema/entity-key.ts";
import { VERSION_BYTES } from "../stored-state.ts";
import type { RedisCommand } from "./redis-link.ts";

export interface StatesRead {
  /** What is asked for, by its places in what was asked for altogether; null for all in their order. */
  readonly places: readonly number[] | null;
  readonly command: RedisCommand;
}

/** What commands read, each in its place; null where there is no state in it. */
export function inPlaces(count: number, reads: readonly StatesRead[], replies: readonly unknown[]): (Buffer | null)[] {
  const found = Array.from<Buffer | null>({ length: count }).fill(null);
  for (const [i, { places }] of reads.entries()) {
    for (const [at, value] of (replies[i] as (Buffer | null)[]).entries()) {
      found[places === null ? at : places[at]!] = stateOrNone(value);
    }
  }
  return found;
}

/** Null also where no more than a version is stored, in the place of a state that is none any more. */
export function stateOrNone<T extends Uint8Array>(stored: T | null): T | null {
  return stored !== null && stored.length > VERSION_BYTES ? stored : null;
}

/** Indexes of the items of one entity, together; entities in the order in which they first come. */
export function groupByKey(items: readonly { readonly key: EntityKey }[]): number[][] {
  const groups = new Map<EntityKey, number[]>();
  for (const [i, { key }] of items.entries()) {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  return [...groups.values()];
}

/** Neighbouring groups in one, up to a size and a number of items; none is split. */
export function joinGroups(
  groups: readonly number[][],
  sizeOf: (indexes: readonly number[]) => number,
  sizeMax: number,
  countMax: number = sizeMax,
): number[][] {
  const joined: number[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const group of groups) {
    const groupSize = sizeOf(group);
    const last = joined.at(-1);
    if (last === undefined || size + groupSize > sizeMax || last.length + group.length > countMax) {
      joined.push([...group]);
      size = groupSize;
    } else {
      last.push(...group);
      size += groupSize;
    }
  }
  return joined;
}
