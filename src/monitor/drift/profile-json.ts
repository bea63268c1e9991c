/**
 * A profile as JSON, and back to the bit: for files, and between processes.
 */
import { NO_NUMBERS } from "./numeric-profile.ts";
import type { Profile } from "./profile.ts";

type Json = Readonly<Record<string, unknown>>;

export function profileToJson(profile: Profile): Json {
  const { kind, count, missing } = profile;
  if (profile.kind === "numeric") {
    if (count === 0) return { kind, count, missing };
    const { min, max, mean, squares, bins } = profile;
    const { level, keys, counts } = bins;
    return { kind, count, missing, min, max, mean, squares, level, keys: [...keys], counts: [...counts] };
  }
  if (profile.kind === "presence") return { kind, count, missing };
  const { counts, others, shortBy } = profile;
  return { kind, count, missing, counts: [...counts], others, short_by: shortBy };
}

/** Throws a plain `Error` of what was not written by this. */
export function profileFromJson(json: unknown): Profile {
  const { kind, ...fields } = (json ?? {}) as { kind?: unknown } & Record<string, unknown>;
  const count = numberOf(fields, "count");
  const missing = numberOf(fields, "missing");
  switch (kind) {
    case "presence":
      return { kind, count, missing };
    case "numeric": {
      if (count === 0) return { ...NO_NUMBERS, missing };
      const [min, max] = [numberOf(fields, "min"), numberOf(fields, "max")];
      const [mean, squares] = [numberOf(fields, "mean"), numberOf(fields, "squares")];
      const keys = Float64Array.from(listOf(fields, "keys") as number[]);
      const counts = Float64Array.from(listOf(fields, "counts") as number[]);
      if (keys.length !== counts.length) throw new Error("a profile's keys and counts differ in number");
      return {
        kind,
        count,
        missing,
        min,
        max,
        mean,
        squares,
        bins: { level: numberOf(fields, "level"), keys, counts },
      };
    }
    case "category": {
      const counts = new Map(listOf(fields, "counts") as [string, number][]);
      return {
        kind,
        count,
        missing,
        counts,
        others: numberOf(fields, "others"),
        shortBy: numberOf(fields, "short_by"),
      };
    }
    default:
      throw new Error(`there is no profile of kind ${String(kind)}`);
  }
}

function numberOf(fields: Readonly<Record<string, unknown>>, name: string): number {
  const value = fields[name];
  if (typeof value !== "number") throw new Error(`a profile's ${name} is no number`);
  return value;
}

function listOf(fields: Readonly<Record<string, unknown>>, name: string): unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new Error(`a profile's ${name} is no list`);
  return value;
}
