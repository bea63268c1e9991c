/**
 * CSV as files of events are read: fields between commas, double quotes around those that hold one, the names of
 * the columns in the first line, in every other as many fields as there are names.
 *
 * Nothing of it is guessed. An engine that looks at some rows to find out what a file is may take a longer row for
 * the header and leave out what stands before it; here such a row is an error that names its line.
 */
import { open } from "node:fs/promises";
import { OnefoldError } from "../base/errors.ts";
import { sqlText } from "../offline-store/engine.ts";
import { findCsvFault } from "./file-fault.ts";

export interface CsvHeader {
  readonly names: readonly string[];
  /** Blank lines in front of it. */
  readonly linesBefore: number;
}

const HEADER_BYTES_MAX = 1024 * 1024;

/** Reads the first line. Throws `FILE_UNREADABLE` where there is none. */
export async function readCsvHeader(path: string): Promise<CsvHeader> {
  const text = (await firstBytes(path)).replace(/^\uFEFF/, "");
  const linesBefore = (/^(?:[^\S\n]*\n)*/.exec(text)?.[0] ?? "").split("\n").length - 1;
  const fields = firstRecord(text.split("\n").slice(linesBefore).join("\n"));
  if (fields === null) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} has no header`, {
      where: path,
      hint: "name the columns in the first line, close every quote in it",
    });
  }
  return { names: distinctNames(fields), linesBefore };
}

async function firstBytes(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES_MAX), 0, HEADER_BYTES_MAX, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} cannot be opened`, { where: path, cause });
  }
}

/** The fields up to the first line break outside quotes; null where there are none, or a quote stays open. */
function firstRecord(text: string): string[] | null {
  if (text.trim() === "") return null;
  const fields: string[] = [];
  const field = /("(?:[^"]|"")*"|(?!")[^,\r\n]*)(,|\r?\n|\r|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) return null;
    const [, raw, end] = match;
    fields.push(raw!.startsWith('"') ? raw!.slice(1, -1).replaceAll('""', '"') : raw!);
    if (end !== ",") return fields;
  }
}

/** Names are compared without regard to case, as the engine does: a second one gets a number. */
function distinctNames(fields: readonly string[]): string[] {
  const taken = new Set<string>();
  return fields.map((field, i) => {
    const base = field === "" ? `column${i}` : field;
    let name = base;
    for (let n = 1; taken.has(name.toLowerCase()); n++) name = `${base}_${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** All columns as text. An empty field is null, a pair of quotes the empty text. */
export function csvReaderSql(path: string, { names, linesBefore }: CsvHeader): string {
  const columns = names.map((name) => `${sqlText(name)}: 'VARCHAR'`).join(", ");
  const dialect = `auto_detect = false, delim = ',', quote = '"', escape = '"', allow_quoted_nulls = false`;
  return `read_csv(${sqlText(path)}, header = true, skip = ${linesBefore}, columns = {${columns}}, ${dialect})`;
}

/** What the engine says of a row it cannot split, with its line; null for other errors. */
export async function csvRowError(path: string, error: OnefoldError, hint: string): Promise<OnefoldError | null> {
  const record = /CSV Error on Line: (\d+)/.exec(error.message)?.[1];
  if (record === undefined) return null;
  // The engine counts records, which may go over several lines.
  const line = (await findCsvFault(path)) ?? Number(record);
  const [, expected, found] = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(error.message) ?? [];
  const what = /unterminated quote/i.test(error.message)
    ? "has a quote that is not closed"
    : expected === undefined
      ? `cannot be read: ${error.message}`
      : `has ${fieldCount(found!)}, the header ${expected}`;
  return new OnefoldError("FILE_UNREADABLE", `line ${line} ${what}`, { where: `${path}:${line}`, hint, cause: error });
}

function fieldCount(count: string): string {
  return count === "1" ? "1 field" : `${count} fields`;
}
