/**
 * Label rows in CSV, looked through once as text before the engine is asked for types: whether every row has as many fields
 * as the header has names, and which columns hold digits that a number would not give back.
 *
 *     007   12345678901234567890      a postcode, an id: 7 and 1.2345678901234567e19 would be others
 */
import { isOnefoldError } from "../base/errors.ts";
import { type CsvHeader, csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";

export interface CheckedCsv {
  readonly header: CsvHeader;
  /** Columns with whole numbers that begin with a zero or a plus. */
  readonly padded: ReadonlySet<string>;
  /** Columns with whole numbers too long for a float64, which the engine takes where one is too long for 64 bits or has a fraction. */
  readonly long: ReadonlySet<string>;
}

/** Digits that a float64 holds, whatever they are. */
const EXACT_DIGITS = 15;

/**
 * Reads the file once: the engine, asked for types at once, might take what a broken row is for something else. Throws
 * `FILE_UNREADABLE`, naming the line.
 */
export async function checkCsv(engine: QueryEngine, path: string): Promise<CheckedCsv> {
  const delimiter = /\.tsv(\.gz)?$/i.test(path) ? "\t" : ",";
  const header = await readCsvHeader(path, delimiter);
  const { names } = header;
  const looked = names.flatMap((name, i) => [
    `bool_or(${paddedSql(name)}) AS p${i}`,
    `bool_or(${longSql(name)}) AS l${i}`,
  ]);
  try {
    const [row] = await engine.rows(`SELECT ${looked.join(", ")} FROM ${csvReaderSql(path, header)}`);
    const those = (letter: string): Set<string> => new Set(names.filter((_, i) => row![`${letter}${i}`] === true));
    return { header, padded: those("p"), long: those("l") };
  } catch (error) {
    const hint = "mend the line: as many fields as there are names in the first line, quotes around those with a comma";
    throw (isOnefoldError(error) ? await csvRowError(path, error, hint, delimiter) : null) ?? error;
  }
}

/** A type that gives back what stands in the column, given the one that the engine finds for it. */
export function losslessType({ padded, long }: CheckedCsv, name: string, type: string): string {
  const isNumber = type === "BIGINT" || type === "DOUBLE";
  if (isNumber && padded.has(name)) return "VARCHAR";
  return type === "DOUBLE" && long.has(name) ? "VARCHAR" : type;
}

/** By comparing texts, which is cheap: ":" comes behind "9". */
function paddedSql(column: string): string {
  const name = sqlName(column);
  const between = (from: string, to: string): string => `(${name} >= '${from}' AND ${name} < '${to}')`;
  return [between("00", "0:"), between("-00", "-0:"), between("+", "+:")].join(" OR ");
}

function longSql(column: string): string {
  const name = sqlName(column);
  return `length(${name}) > ${EXACT_DIGITS} AND regexp_full_match(${name}, '[-+]?[0-9]{${EXACT_DIGITS + 1},}')`;
}
