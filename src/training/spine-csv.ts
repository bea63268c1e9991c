/**
 * Label rows in CSV, looked through as text: before the engine is asked for types, whether every row has as many fields as the
 * header has names; behind that, which columns hold what their type would not give back: an id of 20 digits, which the engine
 * takes for 1.2345678901234567e+19, `0x1F`, `yes`. That is looked for only where the type that was found leaves it open.
 */
import { isOnefoldError } from "../base/errors.ts";
import { type CsvHeader, csvReaderSql, csvRowError, readCsvHeader } from "../offline-store/csv-file.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";

export interface CheckedCsv {
  readonly header: CsvHeader;
  /** Bytes of the shortest and of the longest field of each column. */
  readonly lengths: ReadonlyMap<string, { readonly least: number; readonly most: number }>;
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
    const length = `strlen(${sqlName(name)})`;
    return `min(${length})::DOUBLE AS l${i}, max(${length})::DOUBLE AS m${i}`;
  });
  try {
    const [row] = await engine.rows(`SELECT ${looked.join(", ")} FROM ${csvReaderSql(path, header)}`);
    const lengthsOf = (i: number): { least: number; most: number } => {
      return { least: Number(row![`l${i}`] ?? 0), most: Number(row![`m${i}`] ?? 0) };
    };
    return { header, lengths: new Map(names.map((name, i) => [name, lengthsOf(i)])) };
  } catch (error) {
    const hint = "mend the line: as many fields as there are names in the first line, quotes around those with a comma";
    throw (isOnefoldError(error) ? await csvRowError(path, error, hint, delimiter) : null) ?? error;
  }
}

/** Whether text was taken for what text is not always given back of: of JSON, where a text is a text. */
export function isGuessed(type: string): boolean {
  return GUESSED.test(type);
}

/** Those whose type, as the engine finds it, does not give back what stands in them. */
export async function lossyColumns(
  engine: QueryEngine,
  path: string,
  csv: CheckedCsv,
  columns: readonly { readonly name: string; readonly type: string }[],
): Promise<ReadonlySet<string>> {
  const asked = columns.flatMap(({ name, type }) => {
    const sql = lossySql(csv, name, type);
    return sql === null ? [] : [{ name, sql }];
  });
  if (asked.length === 0) return new Set();
  const looked = asked.map(({ sql }, i) => `bool_or(${sql}) AS c${i}`).join(", ");
  const [row] = await engine.rows(`SELECT ${looked} FROM ${csvReaderSql(path, csv.header)}`);
  return new Set(asked.flatMap(({ name }, i) => (row![`c${i}`] === true ? [name] : [])));
}

/** Whether a field is lost, null where none can be. */
function lossySql({ lengths }: CheckedCsv, column: string, type: string): string | null {
  const name = sqlName(column);
  const { least, most } = lengths.get(column)!;
  switch (type) {
    case "DOUBLE": {
      const isWhole = `regexp_full_match(${name}, '[-+]?[0-9]{${EXACT_DIGITS + 1},}')`;
      const telling = `regexp_replace(${name}, '^[-+]?[0.]*|[eE].*$|[.]', '', 'g')`;
      const hasFraction = `regexp_full_match(${name}, '[-+]?[0-9]*[.][0-9]+([eE][-+]?[0-9]+)?')`;
      // A CASE, as the engine looks at both sides of an AND: most fields are too short to be looked at digit by digit.
      const isLost = `${isWhole} OR (${hasFraction} AND strlen(${telling}) > ${TELLING_DIGITS})`;
      return most > EXACT_DIGITS ? `CASE WHEN strlen(${name}) > ${EXACT_DIGITS} THEN ${isLost} END` : null;
    }
    case "BIGINT":
      // 0x1F, 0b11, " 5"
      return ["x", "X", "b", "B", " "].map((base) => `contains(${name}, '${base}')`).join(" OR ");
    case "BOOLEAN":
      // No other word for either is as long as `true` and `false`.
      return least >= "true".length && most <= "false".length ? null : "true";
    case "DATE":
      return least === 10 && most === 10 ? `substr(${name}, 5, 1) <> '-'` : "true";
    default:
      return GUESSED.test(type) ? "true" : null;
  }
}
