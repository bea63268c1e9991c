/** Parsers of what stands on the command line; commander turns an `InvalidArgumentError` into a usage error. */
import { InvalidArgumentError } from "commander";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { type Micros, parseDuration, parseMicros } from "../base/micros.ts";

export function parsePort(text: string): number {
  const port = Number(text);
  if (text.trim() !== "" && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
}

export function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== "" && share >= 0 && share <= 1) return share;
  throw new InvalidArgumentError("Give a number from 0 to 1.");
}

export function parseTrainShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== "" && share > 0 && share <= 1) return share;
  throw new InvalidArgumentError("Give a number above 0, up to 1.");
}

export function parseMegabytes(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a whole number of megabytes; 0 for none.");
}

/** `2GB`, `512MB`, `1.5GiB`: a GB is 10^9 bytes, a GiB 2^30. */
export function parseBytes(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)\s*([kmgt])(i?)b$/i.exec(text.trim());
  if (match !== null) {
    const power = "kmgt".indexOf(match[2]!.toLowerCase()) + 1;
    return Math.round(Number(match[1]) * (match[3] === "" ? 1000 : 1024) ** power);
  }
  throw new InvalidArgumentError("Write it as 512MB, 2GB or 1.5GiB.");
}

export function parseCount(text: string): number {
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError("Give a whole number above zero.");
}

export function parseAmount(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a whole number; 0 for none.");
}

/** 0 or more, with a fraction or without. */
export function parseDecimal(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a number, such as 0.1.");
}

/** Microseconds. */
export function parseInterval(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(isOnefoldError(error) ? `${error.message}: ${error.hint}.` : String(error));
  }
}

export function parseTime(text: string): Micros {
  try {
    return parseMicros(text);
  } catch (error) {
    throw new InvalidArgumentError(isOnefoldError(error) ? `${error.message}: ${error.hint}.` : String(error));
  }
}

/** `0.8,0.2`, or one or two times. */
export function parseTimeSplit(
  text: string,
): { readonly shares: readonly number[] } | { readonly cuts: readonly Micros[] } {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.every((part) => /^(0?\.\d+|[01](\.0*)?)$/.test(part))) return { shares: parts.map(Number) };
  return { cuts: parts.map(parseTime) };
}

export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // answered below, as any other text that is no object
  }
  throw new InvalidArgumentError('Give one JSON object, such as {"amount": 12.5}.');
}

/** Gathers what a repeated option was given. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Gathers repeated `column=value` options into one object. */
export function collectPair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("Write it as column=value.");
  const name = text.slice(0, at);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...before, [name]: text.slice(at + 1) };
}

export interface ViewName {
  /** With its alias, where it is named by one: the registry knows what that means. */
  readonly view: string;
  /** Absent: what the name alone means. */
  readonly version?: number | "dev";
}

/** `spending`, `spending@2`, `spending@dev` or `spending@prod`. */
export function parseViewName(text: string): ViewName {
  const [view = "", version] = text.split("@", 2);
  if (version === undefined) return { view };
  if (version === "dev") return { view, version };
  if (/^[1-9]\d*$/.test(version)) return { view, version: Number(version) };
  if (/^[a-z][a-z0-9_-]*$/.test(version)) return { view: text };
  throw new OnefoldError("VIEW_UNKNOWN", `"${text}" is not a view's name`, {
    hint: "write name, name@2, name@dev or name@prod",
  });
}
