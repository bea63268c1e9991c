/**
 * Where a file of rows is broken, for people who are to mend it: the engine says that it is, not always the line.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

/** The first line that is not a JSON object; null where every line is one. */
export async function findJsonFault(path: string): Promise<number | null> {
  let lineNumber = 0;
  for await (const line of linesOf(path)) {
    lineNumber++;
    if (line.trim() === "") continue;
    try {
      const row: unknown = JSON.parse(line);
      if (typeof row === "object" && row !== null && !Array.isArray(row)) continue;
    } catch {
      // Named below.
    }
    return lineNumber;
  }
  return null;
}

/**
 * The first line of the first row that has not as many fields as the header, or whose quote is never closed;
 * null where there is none.
 */
export async function findCsvFault(path: string): Promise<number | null> {
  let [headerFields, fields, lineNumber, firstLine] = [0, 1, 0, 1];
  let isQuoted = false;
  for await (const line of linesOf(path)) {
    lineNumber++;
    if (!isQuoted) {
      [fields, firstLine] = [1, lineNumber];
      if (line === "" || (headerFields === 0 && line.trim() === "")) continue;
    }
    for (const character of line) {
      // A doubled quote inside a quoted field closes it and opens it again.
      if (character === '"') isQuoted = !isQuoted;
      else if (character === "," && !isQuoted) fields++;
    }
    if (isQuoted) continue;
    if (headerFields === 0) headerFields = fields;
    else if (fields !== headerFields) return firstLine;
  }
  return isQuoted ? firstLine : null;
}

function linesOf(path: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(path, "utf8"), crlfDelay: Number.POSITIVE_INFINITY });
}
