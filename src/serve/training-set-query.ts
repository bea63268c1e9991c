/**
 * The options of a training set in the query of an upload, where each is text: the same as in a JSON body.
 */
import { OnefoldError } from "../base/errors.ts";
import { parseJsonText } from "../schema/json-text.ts";
import type { TrainingOptions } from "./training-desk.ts";

/** Throws `REQUEST_INVALID`. The schema has seen to what each text may be. */
export function optionsOfQuery(query: Readonly<Record<string, string>>): TrainingOptions {
  const { service, fit, token_column: tokenColumn, statuses, split, key_columns: keyColumns, ...others } = query;
  const { allow_after_log: allowAfterLog, explain_leakage: explainLeakage, ...texts } = others;
  if (service === undefined) {
    throw new OnefoldError("REQUEST_INVALID", "the service is not named", {
      where: "query",
      hint: "POST /training-sets?service=NAME with label rows as the body",
    });
  }
  return {
    service: service.includes(",") ? service.split(",") : service,
    ...(texts as Pick<TrainingOptions, "knowledge" | "boundary" | "time_column" | "every" | "from" | "to">),
    ...(fit === undefined ? {} : { fit: fitOf(fit) }),
    ...(tokenColumn === undefined ? {} : { token_column: tokenColumnOf(tokenColumn) }),
    ...(split === undefined ? {} : { split: splitOf(split) }),
    ...(statuses === undefined ? {} : { statuses: statuses === "true" }),
    ...(allowAfterLog === undefined ? {} : { allow_after_log: allowAfterLog === "true" }),
    ...(explainLeakage === undefined ? {} : { explain_leakage: explainLeakage === "true" }),
    ...(keyColumns === undefined ? {} : { key_columns: keyColumnsOf(keyColumns) }),
  };
}

function fitOf(text: string): number | Record<string, number> {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  const isVersion = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;
  return objectOf("fit", text, isVersion, 'no version, nor a JSON object of versions by service, as {"fraud": 3}');
}

/** A column whose name begins with a brace is named in a JSON body. */
function tokenColumnOf(text: string): string | Record<string, string> {
  if (!text.startsWith("{")) return text;
  const isName = (value: unknown): value is string => typeof value === "string";
  return objectOf("token_column", text, isName, 'no JSON object of columns by service, as {"fraud": "token"}');
}

function splitOf(text: string): readonly number[] | readonly string[] {
  const parts = text.split(",").map((part) => part.trim());
  return parts.every((part) => /^[01]?(\.\d*)?$/.test(part) && part !== "" && part !== ".") ? parts.map(Number) : parts;
}

function keyColumnsOf(text: string): Record<string, string[]> {
  const isList = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((name) => typeof name === "string");
  return objectOf("key_columns", text, isList, 'no JSON object of lists of column names, as {"user": ["customer_id"]}');
}

function objectOf<T>(
  name: string,
  text: string,
  isValue: (value: unknown) => value is T,
  what: string,
): Record<string, T> {
  const where = `query/${name}`;
  const parsed: unknown = text.startsWith("{") ? parseJsonText(text, where) : null;
  if (typeof parsed === "object" && parsed !== null && Object.values(parsed).every(isValue))
    return { ...(parsed as Record<string, T>) };
  throw new OnefoldError("REQUEST_INVALID", `${name} is ${what}`, { where });
}
