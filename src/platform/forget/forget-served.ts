/** Vectors in the serving log that a forgotten entity has part in. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessAbsent } from "../../base/unless-absent.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { eraseServed, servedSegments } from "../../serve/serving-log-erasure.ts";
import { decodeServedVector } from "../../schema/served-vector.ts";
import type { ForgetPlace } from "./forget-places.ts";
import type { SharingEntities } from "./forget-shared.ts";

export interface ForgottenServed {
  readonly entity: string;
  readonly key: EntityKey;
  /** Others that had its events in them, by source: nobody can compute their vectors again. */
  readonly sharing?: Readonly<Record<string, readonly SharingEntities[]>>;
}

/** Writes over its vectors, and those of others that had its events in them, with how many there were. Servers may write on. */
export async function forgetServed(folder: string, forgotten: ForgottenServed): Promise<number> {
  const gone = goneOf(forgotten);
  return eraseServed(folder, (line) => isOf(line, gone));
}

/** As `forgetServed`, and changes nothing. */
export async function servedPlace(folder: string, forgotten: ForgottenServed): Promise<ForgetPlace> {
  let count = 0;
  let bytes = 0;
  const sizeOf = (lines: readonly string[]): number =>
    lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  for await (const { lines, kept } of segments(folder, forgotten)) {
    count += lines.length - kept.length;
    bytes += sizeOf(lines) - sizeOf(kept);
  }
  return { where: "serving-log", what: "served vectors", count, bytes };
}

interface Segment {
  readonly lines: readonly string[];
  readonly kept: readonly string[];
}

async function* segments(folder: string, forgotten: ForgottenServed): AsyncGenerator<Segment> {
  const gone = goneOf(forgotten);
  for (const name of await servedSegments(folder)) {
    const path = join(folder, name);
    // The oldest may be removed at any time.
    const lines = ((await unlessAbsent(path, readFile(path, "utf8"))) ?? "").split("\n");
    yield { lines, kept: lines.filter((line) => !isOf(line, gone)) };
  }
}

function goneOf({ entity, key, sharing = {} }: ForgottenServed): ReadonlyMap<string, ReadonlySet<EntityKey>> {
  const gone = new Map([[entity, new Set([key])]]);
  for (const other of Object.values(sharing).flat()) {
    gone.set(other.entity, new Set([...(gone.get(other.entity) ?? []), ...other.keys]));
  }
  return gone;
}

function isOf(line: string, gone: ReadonlyMap<string, ReadonlySet<EntityKey>>): boolean {
  if (line.trim() === "") return false;
  try {
    const { keys, exposure } = decodeServedVector(line);
    const { entity, unit } = exposure ?? {};
    if (entity !== undefined && gone.get(entity)?.has(unit as EntityKey) === true) return true;
    return Object.entries(keys).some(([entity, key]) => gone.get(entity)?.has(key) === true);
  } catch {
    // A torn last line: its beginning names the keys, and nobody can use it.
    return true;
  }
}
