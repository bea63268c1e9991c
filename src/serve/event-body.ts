/**
 * The rows of a pushed body: one JSON object, a JSON array of them, or NDJSON.
 *
 * The content type may say NDJSON; without it the content does: command-line clients send what they like.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { parseJsonText } from "../schema/json-text.ts";

export interface EventBody {
  /** A line that is not JSON stands as its text, so that the door rejects it and the dead letter keeps it. */
  readonly rows: readonly unknown[];
  /** The body was one object and not a list. */
  readonly single: boolean;
  /** What is wrong with the lines that are not JSON, by row. */
  readonly faults: ReadonlyMap<number, OnefoldError>;
}

/** Rows in one body. Small rows make many: bytes alone do not bound the work and the memory of a request. */
export const EVENT_ROWS_MAX: number = 100_000;

/**
 * Throws `JSON_INVALID` for a body that is neither JSON nor NDJSON, `REQUEST_INVALID` for one that holds no
 * rows, and `BODY_TOO_LARGE` for one of more than `EVENT_ROWS_MAX` rows, before they take any memory.
 */
export function parseEventBody(text: string, contentType: string): EventBody {
  if (/\b(?:x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines)\b/.test(contentType)) return parseLines(text);
  const start = /\S/.exec(text)?.[0];
  if (start === "{" && firstLineIsWhole(text)) return parseLines(text);
  if (start === "[" && hasTooManyElements(text)) throw tooManyRows();
  const parsed = parseJsonText(text, "body");
  if (Array.isArray(parsed)) return { rows: parsed, single: false, faults: new Map() };
  if (start === "{") return { rows: [parsed], single: true, faults: new Map() };
  throw new OnefoldError("REQUEST_INVALID", "a body that is neither an object nor an array holds no events", {
    hint: "send one JSON object, a JSON array of objects, or one object a line",
  });
}

/** Whether the text is several lines of which the first is JSON on its own: never true of one JSON value. */
function firstLineIsWhole(text: string): boolean {
  const line = /\S[^\n]*/.exec(text)!;
  const rest = line.index + line[0].length;
  if (!/\S/.test(text.slice(rest))) return false;
  try {
    JSON.parse(line[0]);
    return true;
  } catch {
    return false;
  }
}

function parseLines(text: string): EventBody {
  const rows: unknown[] = [];
  const faults = new Map<number, OnefoldError>();
  let lineNumber = 0;
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    lineNumber++;
    if (line.trim() === "") continue;
    if (rows.length === EVENT_ROWS_MAX) throw tooManyRows();
    try {
      rows.push(parseJsonText(line));
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      const what = `line ${lineNumber}: ${error.message.replace("line 1, ", "")}`;
      faults.set(rows.length, new OnefoldError(error.code, what, { where: `line ${lineNumber}` }));
      rows.push(line);
    }
  }
  return { rows, single: false, faults };
}

/** Counts commas between the elements of the outermost array, without building any of them. */
function hasTooManyElements(text: string): boolean {
  // Each element takes a character and each but the last a comma.
  if (text.length < 2 * EVENT_ROWS_MAX) return false;
  let depth = 0;
  let elements = 1;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === QUOTE) i = endOfString(text, i);
    else if (char === OPEN_BRACKET || char === OPEN_BRACE) depth++;
    else if (char === CLOSE_BRACKET || char === CLOSE_BRACE) depth--;
    else if (char === COMMA && depth === 1 && ++elements > EVENT_ROWS_MAX) return true;
  }
  return false;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Index of the quote that ends the string which begins at `start`; the text's length where none does. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}

function tooManyRows(): OnefoldError {
  return new OnefoldError("BODY_TOO_LARGE", `a body of more than ${EVENT_ROWS_MAX} rows`, {
    where: "body",
    hint: `send it in parts of up to ${EVENT_ROWS_MAX} rows`,
  });
}
