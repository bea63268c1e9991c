/**
 * What differs between two definitions of one name, as lines a person reads:
 * `features.mean_delay_1h.over: 1h -> 2h`.
 */
import { formatDuration } from "../base/micros.ts";
import type { TransformationNode } from "../define/transformation-definition.ts";
import type { Window } from "../define/aggregation-definition.ts";
import type { ExpectationDefinition } from "../define/expectation-definition.ts";
import { ruleText } from "../define/expectation-problems.ts";
import type { Expression } from "../define/expression.ts";
import { expressionText } from "../define/expression-text.ts";
import { formatWindow } from "../define/window.ts";
import { transformationText } from "../define/transformation-text.ts";
import type { Data } from "./definition-data.ts";

/** One line a difference, in the order of the new definition's members; empty when both are equal. */
export function differences(before: Data, after: Data): string[] {
  return compare("", before, after);
}

function compare(path: string, before: Data | undefined, after: Data | undefined): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (before === undefined) return [`${path}: added ${show(path, after!)}`];
  if (after === undefined) return [`${path}: removed ${show(path, before)}`];
  if (isList(before) && isList(after)) return compareLists(path, before, after);
  if (
    isNamed(before) &&
    isNamed(after) &&
    (after["node"] !== undefined || (textOf(path, before) ?? textOf(path, after)) === null)
  ) {
    const names = [...new Set([...Object.keys(after), ...Object.keys(before)])];
    return names.flatMap((name) => compare(path === "" ? name : `${path}.${name}`, before[name], after[name]));
  }
  const texts = [show(path, before), show(path, after)];
  // Of a transformation, the text says all but the code of its custom parts.
  if (path.endsWith("codeFingerprint") || texts[0] === texts[1]) {
    return [
      `${path}: the code of its functions changed, or what they reach of other code (functions, constants and packages that they mention)`,
    ];
  }
  return [`${path}: ${texts[0]} -> ${texts[1]}`];
}

/** Lists of named things are compared by name; others, and a change of order, as wholes. */
function compareLists(path: string, before: readonly Data[], after: readonly Data[]): string[] {
  const [olds, news] = [byName(before), byName(after)];
  if (olds === null || news === null) return [`${path}: ${show(path, before)} -> ${show(path, after)}`];
  const names = [...new Set([...news.keys(), ...olds.keys()])];
  const lines = names.flatMap((name) => compare(`${path}.${name}`, olds.get(name), news.get(name)));
  if (lines.length > 0) return lines;
  return [`${path}: order ${[...olds.keys()].join(", ")} -> ${[...news.keys()].join(", ")}`];
}

function byName(list: readonly Data[]): Map<string, Data> | null {
  const found = new Map<string, Data>();
  for (const element of list) {
    if (!isNamed(element)) return null;
    const name = element["as"] ?? element["name"];
    if (typeof name !== "string" || found.has(name)) return null;
    found.set(name, element);
  }
  return found;
}

function isList(data: Data): data is readonly Data[] {
  return Array.isArray(data);
}

function isNamed(data: Data): data is { readonly [name: string]: Data } {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function show(path: string, data: Data): string {
  return textOf(path, data) ?? JSON.stringify(data);
}

const WINDOW_KINDS: ReadonlySet<Data | undefined> = new Set<Window["kind"]>(["time", "last", "session"]);

/** The short text of what people write shortly: durations, windows, types, expressions, features, columns. */
function textOf(path: string, data: Data): string | null {
  if (typeof data === "number" && /micros$/i.test(path)) return data === 0 ? "0" : formatDuration(data);
  if (typeof data === "string") return data;
  if (!isNamed(data)) return null;
  if (WINDOW_KINDS.has(data["kind"])) return formatWindow(data as unknown as Window);
  if (path.endsWith(".node")) return transformationText(data as unknown as TransformationNode);
  if (data["rule"] !== undefined) return expectationText(data as unknown as ExpectationDefinition);
  if (data["node"] !== undefined) return transformationText(data["node"] as unknown as TransformationNode);
  if (typeof data["op"] === "string") return expressionText(data as unknown as Expression);
  if (typeof data["view"] === "string") return `${data["view"]}@${String(data["version"])}.${String(data["feature"])}`;
  return /(^|\.)(type|output|element)$/.test(path) ? typeText(data) : null;
}

function expectationText({ column, rule, severity, windowMicros, tolerate }: ExpectationDefinition): string {
  const but = tolerate === undefined ? "" : `, but for ${tolerate * 100}%`;
  return `${ruleText(column, rule)}${but}, over ${formatDuration(windowMicros)} (${severity})`;
}

function typeText(data: { readonly [name: string]: Data }): string {
  if (data["name"] === "array") return `array<${typeText(data["element"] as { readonly [name: string]: Data })}>`;
  return data["wide"] === true ? "wide int64" : String(data["name"]);
}
