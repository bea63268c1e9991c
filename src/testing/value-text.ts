/** Values and rows as the messages of failed tests show them. */
import { valueToJson } from "../schema/check-value.ts";
import type { Value, ValueType } from "../schema/value.ts";

const LENGTH_MAX = 120;

export function formatValue(value: Value, type: ValueType): string {
  const json = JSON.stringify(valueToJson(value, type));
  return json.length > LENGTH_MAX ? `${json.slice(0, LENGTH_MAX - 3)}...` : json;
}

/** An expected value: one of the feature's type as answers show it, any other as JavaScript does. */
export function shown(wanted: unknown, type: ValueType): string {
  const isTime = type.name === "timestamp" && typeof wanted === "number";
  if (isTime || wanted instanceof Uint8Array) return formatValue(wanted as Value, type);
  return wanted === undefined ? "undefined" : JSON.stringify(wanted, plainJson);
}

/** For `JSON.stringify`: what JSON has no form for. */
export function plainJson(_: string, value: unknown): unknown {
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))) return String(value);
  return value;
}
