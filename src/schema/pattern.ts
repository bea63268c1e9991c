/**
 * Regular expressions in RE2's syntax (https://github.com/google/re2/wiki/Syntax), found in time linear in the text: a
 * pattern in a definition meets texts that anyone may send, and must not be made slow by one.
 *
 * The library is loaded with the first pattern: who has none does without.
 */
import { createRequire } from "node:module";
import type { RE2JS } from "re2js";

/** A longer one is a program, not a pattern. */
export const PATTERN_LENGTH_MAX = 500;

/** Whether a text holds a match, anywhere in it. */
export type Pattern = (text: string) => boolean;

let library: { readonly RE2JS: typeof RE2JS } | null = null;

/** Throws an `Error` that says what is wrong with it. */
export function compilePattern(pattern: string): Pattern {
  library ??= createRequire(import.meta.url)("re2js") as { readonly RE2JS: typeof RE2JS };
  const compiled = library.RE2JS.compile(pattern);
  return (text) => compiled.test(text);
}

/** Why this is no pattern; undefined where it is one. */
export function patternProblem(pattern: unknown): string | undefined {
  if (typeof pattern !== "string" || pattern === "") return `${JSON.stringify(pattern)} is not a regular expression`;
  if (pattern.length > PATTERN_LENGTH_MAX) return `it has more than ${PATTERN_LENGTH_MAX} characters`;
  try {
    compilePattern(pattern);
    return undefined;
  } catch (error) {
    return `${JSON.stringify(pattern)} is not a regular expression of RE2: ${(error as Error).message}`;
  }
}
