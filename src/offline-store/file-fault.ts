/**
 * Where a file of rows is broken, for people who are to mend it: the engine says that it is, not always the line.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { OnefoldError } from "../base/errors.ts";

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

/** Names the first line of an NDJSON file that is no object; null where there is none, or the file is one JSON array. */
export async function jsonLineError(
  path: string,
  hint: string,
  cause: OnefoldError | null,
): Promise<OnefoldError | null> {
  const line = (await firstCharacter(path)) === "[" ? null : await findJsonFault(path);
  if (line === null) return null;
  return new OnefoldError("FILE_UNREADABLE", `line ${line} is not a JSON object`, {
    where: `${path}:${line}`,
    hint,
    ...(cause === null ? {} : { cause }),
  });
}

async function firstCharacter(path: string): Promise<string> {
  for await (const line of linesOf(path)) if (line.trim() !== "") return line.trim()[0]!;
  return "";
}

export interface CsvFault {
  readonly line: number;
  /** Whether a quote that opens in the row is never closed; else it has not as many fields as the header. */
  readonly isOpenQuote: boolean;
}

/** The first line of the first row that is broken; null where there is none. */
export async function findCsvFault(path: string, delimiter: string = ","): Promise<CsvFault | null> {
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
      else if (character === delimiter && !isQuoted) fields++;
    }
    if (isQuoted) continue;
    if (headerFields === 0) headerFields = fields;
    else if (fields !== headerFields) return { line: firstLine, isOpenQuote: false };
  }
  return isQuoted ? { line: firstLine, isOpenQuote: true } : null;
}

function linesOf(path: string): AsyncIterable<string> {
  return createInterface({ input: textOf(path), crlfDelay: Number.POSITIVE_INFINITY });
}

/** What stands in a file, unpacked where its name ends in `.gz`. */
export function textOf(path: string): Readable {
  const file = createReadStream(path);
  if (!path.toLowerCase().endsWith(".gz")) return file.setEncoding("utf8");
  // An error of the file would otherwise not reach who reads the unpacked.
  const unpacked = createGunzip();
  return pipeline(file, unpacked, () => undefined).setEncoding("utf8");
}
