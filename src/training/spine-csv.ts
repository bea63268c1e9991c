/**
 * Label rows in CSV, looked through once as text before the engine is asked for types: whether every row has as many fields
 * as the header has names, and which columns hold whole numbers that a float64 would not give back: an id of 20 digits,
 * which the engine would take for 1.2345678901234567e+19.
 */
import { isOnefoldError } from "../base/errors.ts";
import { type CsvHeader, csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";

export interface CheckedCsv {
  readonly header: CsvHeader;
  /** Columns with whole numbers too long for a float64; the engine takes it for all where one does not fit 64 bits or has a fraction. */
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
  const looked = names.map((name, i) => `bool_or(${longSql(name)}) AS l${i}`);
  try {
    const [row] = await engine.rows(`SELECT ${looked.join(", ")} FROM ${csvReaderSql(path, header)}`);
    return { header, long: new Set(names.filter((_, i) => row![`l${i}`] === true)) };
  } catch (error) {
    const hint = "mend the line: as many fields as there are names in the first line, quotes around those with a comma";
    throw (isOnefoldError(error) ? await csvRowError(path, error, hint, delimiter) : null) ?? error;
  }
}

/** A type that gives back what stands in the column, given the one that the engine finds for it. */
export function losslessType({ long }: CheckedCsv, name: string, type: string): string {
  return type === "DOUBLE" && long.has(name) ? "VARCHAR" : type;
}

function longSql(column: string): string {
  const name = sqlName(column);
  // A CASE, as the engine looks at both sides of an AND: most fields are too short to be looked at digit by digit.
  const isLong = `regexp_full_match(${name}, '[-+]?[0-9]{${EXACT_DIGITS + 1},}')`;
  return `CASE WHEN strlen(${name}) > ${EXACT_DIGITS} THEN ${isLong} END`;
}
