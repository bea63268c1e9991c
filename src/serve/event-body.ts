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

/** Throws `JSON_INVALID` for a body that is neither JSON nor NDJSON, `REQUEST_INVALID` for one that holds no rows. */
export function parseEventBody(text: string, contentType: string): EventBody {
  if (/\b(?:x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines)\b/.test(contentType)) return parseLines(text);
  const start = /\S/.exec(text)?.[0];
  if (start === "{" && firstLineIsWhole(text)) return parseLines(text);
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
  for (const line of text.split("\n")) {
    lineNumber++;
    if (line.trim() === "") continue;
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
