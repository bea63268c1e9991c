/**
 * Anything a caller may hand in, as JSON data: what a dead letter keeps of a row.
 */

/** What lies deeper is not kept: walking it, or writing it as text, would need more stack than there is. */
const DEPTH_MAX = 100;

/**
 * Bytes become base64 text, bigint decimal text, dates ISO text, NaN and infinities their names; what has no
 * JSON form becomes null, and an object inside itself, or inside a hundred others, "...".
 */
export function jsonData(value: unknown): unknown {
  return convert(value, new Set());
}

function convert(value: unknown, around: Set<object>): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (around.has(value) || around.size === DEPTH_MAX) return "...";
  around.add(value);
  const converted = Array.isArray(value)
    ? value.map((element) => convert(element, around))
    : Object.fromEntries(Object.entries(value).map(([name, member]) => [name, convert(member, around)]));
  around.delete(value);
  return converted;
}
