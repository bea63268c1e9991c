/**
 * JSON text to data, with errors that say where: line, column and what was expected.
 *
 * `JSON.parse` does the work, and is the judge. Only a text it refuses is walked again, by the grammar of
 * RFC 8259, to find the first character that cannot stand where it stands.
 */
import { OnefoldError } from "../base/errors.ts";

/** Throws `JSON_INVALID`; `where` says which body or line it was. */
export function parseJsonText(text: string, where?: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const fault = findJsonFault(text);
    const { line, column } = lineAndColumn(text, fault.position);
    const found = fault.position >= text.length ? "the text ends" : `${JSON.stringify(text[fault.position])} stands`;
    throw new OnefoldError(
      "JSON_INVALID",
      `not valid JSON: ${found} at line ${line}, column ${column}, where ${fault.expected} is expected`,
      { ...(where === undefined ? {} : { where }), cause },
    );
  }
}

/** As `parseJsonText`, but whole numbers outside the safe range become their decimal text, with every digit. */
export function parseWideJson(text: string, where?: string): unknown {
  // Only a text of 16 digits in a row can hold one; and a text that is no JSON is answered as it was written.
  if (!/\d{16}/.test(text)) return parseJsonText(text, where);
  parseJsonText(text, where);
  return JSON.parse(text.replace(STRING_OR_WHOLE, (token) => (isUnsafe(token) ? `"${token}"` : token)));
}

/** Strings are matched too, so that digits inside them are passed over. */
const STRING_OR_WHOLE = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function isUnsafe(token: string): boolean {
  return /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
}

export interface JsonFault {
  /** Index of the first character that cannot stand there; the text's length where it ends too early. */
  readonly position: number;
  readonly expected: string;
}

const WHITESPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- RFC 8259 forbids exactly these in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const WORD = /true|false|null/y;

/**
 * The first fault of a text that is not JSON. Walks without recursion, so nesting of any depth is safe.
 * For a text that is JSON, its end.
 */
export function findJsonFault(text: string): JsonFault {
  let position = 0;
  const open: ("{" | "[")[] = [];
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0] ?? "";
    position += found.length;
    return found;
  };
  /** Moves past a string; false leaves `position` at what is wrong in it. */
  const string = (): boolean => {
    if (match(STRING) === "" || text[position] !== '"') return false;
    position++;
    return true;
  };
  const key = (): JsonFault | null => {
    match(WHITESPACE);
    if (text[position] !== '"') return { position, expected: "a name in double quotes" };
    if (!string()) return { position, expected: "the rest of a name" };
    match(WHITESPACE);
    if (text[position] !== ":") return { position, expected: '":"' };
    position++;
    return null;
  };

  for (;;) {
    match(WHITESPACE);
    const char = text[position];
    if (char === "{" || char === "[") {
      position++;
      match(WHITESPACE);
      if (text[position] !== (char === "{" ? "}" : "]")) {
        open.push(char);
        const fault = char === "{" ? key() : null;
        if (fault !== null) return fault;
        continue;
      }
      position++;
    } else if (char === '"') {
      if (!string()) return { position, expected: "the rest of a string" };
    } else if (match(WORD) === "" && match(NUMBER) === "") {
      return { position, expected: "a value" };
    }
    // A value is complete: close what it completes, then go to the next one.
    for (;;) {
      match(WHITESPACE);
      const container = open.at(-1);
      if (container === undefined) return { position, expected: "the end" };
      const close = container === "{" ? "}" : "]";
      if (text[position] === close) {
        position++;
        open.pop();
        continue;
      }
      if (text[position] !== ",") return { position, expected: `"," or "${close}"` };
      position++;
      const fault = container === "{" ? key() : null;
      if (fault !== null) return fault;
      break;
    }
  }
}

function lineAndColumn(text: string, position: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < position; at = text.indexOf("\n", at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return { line, column: position - lineStart + 1 };
}
