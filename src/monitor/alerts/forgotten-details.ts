/**
 * What was found, without its details: those may name entities, and an entity may have to be forgotten.
 */

/** A copy in which whatever has a measure has no details. Takes and gives plain JSON. */
export function withoutDetails<T>(value: T): T {
  return without(value) as T;
}

function without(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(without);
  if (typeof value !== "object" || value === null) return value;
  const isFound = "measure" in value && "detail" in value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, isFound && name === "detail" ? {} : without(member)]),
  );
}
