/**
 * CSV as files of events and of label rows are read: fields between commas (or tabs, where it is said), double quotes
 * around those that hold one, the names of the columns in the first line, in every other as many fields as there are
 * names. A file whose name ends in `.gz` is unpacked.
 *
 * Nothing of it is guessed. An engine that looks at some rows to find out what a file is may take a longer row for
 * the header and leave out what stands before it; here such a row is an error that names its line.
 */
import { OnefoldError } from "../base/errors.ts";
import { sqlText } from "./engine.ts";
import { fileSql } from "./file-sql.ts";
import { findCsvFault, textOf } from "./file-fault.ts";

export interface CsvHeader {
  /** No two alike. */
  readonly names: readonly string[];
  /** As they stand in the file. */
  readonly written: readonly string[];
  /** Blank lines in front of it. */
  readonly linesBefore: number;
  readonly delimiter: CsvDelimiter;
}

export type CsvDelimiter = "," | "\t";

const HEADER_CHARACTERS_MAX = 1024 * 1024;

/** Reads the first line. Throws `FILE_UNREADABLE` where there is none, or it is not UTF-8. */
export async function readCsvHeader(path: string, delimiter: CsvDelimiter = ","): Promise<CsvHeader> {
  const text = (await beginningOf(path)).replace(/^\uFEFF/, "");
  const linesBefore = (/^(?:[^\S\n]*\n)*/.exec(text)?.[0] ?? "").split("\n").length - 1;
  const fields = firstRecord(text.split("\n").slice(linesBefore).join("\n"), delimiter);
  if (fields === null) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} has no header`, {
      where: path,
      hint: "name the columns in the first line, close every quote in it",
    });
  }
  // Of other encodings: what is no UTF-8 has become U+FFFD, and UTF-16 has zeros.
  if (fields.some((name) => name.includes("\0") || name.includes("\uFFFD"))) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} is not UTF-8 text`, {
      where: path,
      hint: "save it as CSV in UTF-8",
    });
  }
  return { names: distinctNames(fields), written: fields, linesBefore, delimiter };
}

async function beginningOf(path: string): Promise<string> {
  let text = "";
  try {
    for await (const chunk of textOf(path)) {
      text += chunk as string;
      if (text.length >= HEADER_CHARACTERS_MAX) break;
    }
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} cannot be opened`, { where: path, cause });
  }
  return text.slice(0, HEADER_CHARACTERS_MAX);
}

/** The fields up to the first line break outside quotes; null where there are none, or a quote stays open. */
function firstRecord(text: string, delimiter: CsvDelimiter): string[] | null {
  if (text.trim() === "") return null;
  const fields: string[] = [];
  const field =
    delimiter === ","
      ? /("(?:[^"]|"")*"|(?!")[^,\r\n]*)(,|\r?\n|\r|$)/y
      : /("(?:[^"]|"")*"|(?!")[^\t\r\n]*)(\t|\r?\n|\r|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) return null;
    const [, raw, end] = match;
    fields.push(raw!.startsWith('"') ? raw!.slice(1, -1).replaceAll('""', '"') : raw!);
    if (end !== delimiter) return fields;
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

/** All columns as text. */
export function csvReaderSql(path: string, header: CsvHeader, ...more: readonly string[]): string {
  const columns = header.names.map((name) => `${sqlText(name)}: 'VARCHAR'`).join(", ");
  const options = [`auto_detect = false, columns = {${columns}}`, ...more].join(", ");
  return `read_csv(${fileSql(path)}, hive_partitioning = false, ${dialectSql(header)}, ${options})`;
}

/**
 * Columns of the types that all their values have, but for those of `types`: text where one of them is the empty text.
 * Only for a file that `csvReaderSql` has read to its end: of one with rows of other lengths the engine says less.
 */
export function csvTypedReaderSql(path: string, header: CsvHeader, types: ReadonlyMap<string, string>): string {
  const names = header.names.map(sqlText).join(", ");
  const stated = [...types].map(([name, type]) => `${sqlText(name)}: ${sqlText(type)}`).join(", ");
  const options = `names = [${names}], sample_size = -1${stated === "" ? "" : `, types = {${stated}}`}`;
  return `read_csv(${fileSql(path)}, hive_partitioning = false, ${dialectSql(header)}, ${options})`;
}

/** All that an engine would guess but for types. An empty field is null, a pair of quotes the empty text. */
function dialectSql({ linesBefore, delimiter }: CsvHeader): string {
  const quotes = `quote = '"', escape = '"', allow_quoted_nulls = false`;
  return `header = true, skip = ${linesBefore}, delim = ${sqlText(delimiter)}, ${quotes}, comment = ''`;
}

/** What the engine says of a row it cannot split, with its line; null for other errors. */
export async function csvRowError(
  path: string,
  error: OnefoldError,
  hint: string,
  delimiter: CsvDelimiter = ",",
): Promise<OnefoldError | null> {
  const record = /CSV Error on Line: (\d+)/.exec(error.message)?.[1];
  if (record === undefined) return null;
  // The engine counts records, which may go over several lines.
  const fault = await findCsvFault(path, delimiter);
  const line = fault?.line ?? Number(record);
  const [, expected, found] = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(error.message) ?? [];
  const what =
    fault?.isOpenQuote === true
      ? "has a quote that is not closed"
      : expected === undefined
        ? `cannot be read: ${error.message}`
        : `has ${fieldCount(found!)}, the header ${expected}`;
  return new OnefoldError("FILE_UNREADABLE", `line ${line} ${what}`, { where: `${path}:${line}`, hint, cause: error });
}

function fieldCount(count: string): string {
  return count === "1" ? "1 field" : `${count} fields`;
}
