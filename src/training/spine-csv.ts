/**
 * Label rows in CSV, looked through once as text before the engine is asked for types: whether every row has as many fields
 * as the header has names, and which columns hold what their type would not give back: an id of 20 digits, which the engine would
 * take for 1.2345678901234567e+19, `0x1F`, `yes`.
 */
import { isOnefoldError } from "../base/errors.ts";
import { type CsvHeader, csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";

export interface CheckedCsv {
  readonly header: CsvHeader;
  /** Columns with numbers that a float64 would not give back, were they such. */
  readonly long: ReadonlySet<string>;
  /** Columns with fields that are no number as it is written, or neither true nor false. */
  readonly odd: ReadonlySet<string>;
  /** Columns with fields that are no date as `2026-03-01` is. */
  readonly dateless: ReadonlySet<string>;
}

/** Digits of a whole number that a float64 holds, whatever they are; and those that tell any float64 from all others. */
const EXACT_DIGITS = 15;
const TELLING_DIGITS = 17;
/** What else the engine makes values of: which moment, and how it was written, cannot be told from those. */
const GUESSED = /^(?:DATE$|TIME|INTERVAL|UUID)/;

/**
 * Reads the file once: the engine, asked for types at once, might take what a broken row is for something else. Throws
 * `FILE_UNREADABLE`, naming the line.
 */
export async function checkCsv(engine: QueryEngine, path: string): Promise<CheckedCsv> {
  const delimiter = /\.tsv(\.gz)?$/i.test(path) ? "\t" : ",";
  const header = await readCsvHeader(path, delimiter);
  const { names } = header;
  const looked = names.map((name, i) => {
    const datelessSql = `strlen(${sqlName(name)}) <> 10 OR substr(${sqlName(name)}, 5, 1) <> '-'`;
    return `bool_or(${longSql(name)}) AS l${i}, bool_or(${oddSql(name)}) AS o${i}, bool_or(${datelessSql}) AS d${i}`;
  });
  try {
    const [row] = await engine.rows(`SELECT ${looked.join(", ")} FROM ${csvReaderSql(path, header)}`);
    const where = (found: string): ReadonlySet<string> =>
      new Set(names.filter((_, i) => row![`${found}${i}`] === true));
    return { header, long: where("l"), odd: where("o"), dateless: where("d") };
  } catch (error) {
    const hint = "mend the line: as many fields as there are names in the first line, quotes around those with a comma";
    throw (isOnefoldError(error) ? await csvRowError(path, error, hint, delimiter) : null) ?? error;
  }
}

/** A type that gives back what stands in the column, given the one that the engine finds for it. `csv` is null for NDJSON, whose text is text. */
export function losslessType(csv: CheckedCsv | null, name: string, type: string): string {
  if (type === "DATE" && csv !== null && !csv.dateless.has(name)) return type;
  if (GUESSED.test(type)) return "VARCHAR";
  if (csv === null) return type;
  const isLost =
    (type === "DOUBLE" && csv.long.has(name)) || ((type === "BIGINT" || type === "BOOLEAN") && csv.odd.has(name));
  return isLost ? "VARCHAR" : type;
}

/** A prefix of a base, where a number is; a length that neither `true` nor `false` has, where a bool is. */
function oddSql(column: string): string {
  const name = sqlName(column);
  const isOfBase = `regexp_matches(${name}, '^[-+]?0[xXbB]')`;
  return `CASE WHEN starts_with(ltrim(${name}, '-+'), '0') THEN ${isOfBase} ELSE regexp_matches(${name}, '^[a-zA-Z]') AND strlen(${name}) NOT IN (4, 5) END`;
}

function longSql(column: string): string {
  const name = sqlName(column);
  // A CASE, as the engine looks at both sides of an AND: most fields are too short to be looked at digit by digit.
  const isWhole = `regexp_full_match(${name}, '[-+]?[0-9]{${EXACT_DIGITS + 1},}')`;
  const telling = `regexp_replace(${name}, '^[-+]?[0.]*|[eE].*$|[.]', '', 'g')`;
  const hasFraction = `regexp_full_match(${name}, '[-+]?[0-9]*[.][0-9]+([eE][-+]?[0-9]+)?')`;
  return `CASE WHEN strlen(${name}) > ${EXACT_DIGITS} THEN ${isWhole} OR (${hasFraction} AND strlen(${telling}) > ${TELLING_DIGITS}) END`;
}
