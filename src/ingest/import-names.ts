/**
 * Columns of an imported file against those of its source: what is passed over, what is not there and so null, and what
 * must be a slip of the pen, which an import could not mend afterwards: rows with an id are duplicates then.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";

export interface FileNames {
  readonly path: string;
  /** Columns of the file. */
  readonly present: readonly string[];
  /** Of each nullable column of the source: its name, and the columns of the file that it may stand in. */
  readonly nullable: readonly { readonly name: string; readonly fileColumns: readonly string[] }[];
  /** Columns of the file that something asks for. */
  readonly asked: ReadonlySet<string>;
  /** Columns of the file that are no slip, whatever they are called. */
  readonly passOver: readonly string[];
}

export interface UnreadNames {
  /** Columns of the file that nothing asked for. */
  readonly ignoredColumns: readonly string[];
  /** Columns of the source that the file does not have: null in its rows. */
  readonly absentColumns: readonly string[];
}

/** Throws `COLUMN_UNKNOWN` where a column that nothing asks for is called nearly as one that the file does not have. */
export function unreadNames({ path, present, nullable, asked, passOver }: FileNames): UnreadNames {
  const there = new Set(present);
  const absent = nullable.filter(({ fileColumns }) => !fileColumns.some((name) => there.has(name)));
  const ignoredColumns = present.filter((name) => !asked.has(name));
  const wanted = absent.flatMap(({ fileColumns }) => fileColumns);
  for (const name of ignoredColumns) {
    if (passOver.includes(name)) continue;
    const candidates = nearestNames(name, wanted).filter((other) => isSlip(name, other));
    if (candidates.length === 0) continue;
    throw new OnefoldError("COLUMN_UNKNOWN", `the source has no column "${name}", and the file no "${candidates[0]}"`, {
      where: path,
      hint:
        `nothing was imported: map it if it is that (\`--map ${candidates[0]}=${name}\`, \`columnMap\` in code), ` +
        `and pass it over if it is not (\`--pass-over ${name}\`, \`passOver\`)`,
      candidates,
    });
  }
  return { ignoredColumns, absentColumns: absent.map(({ name }) => name) };
}

/** Names that only contain one another (`fare`, `fare_per_mile`) are two columns, as are `x` and `y`. */
function isSlip(name: string, other: string): boolean {
  if (name.toLowerCase() === other.toLowerCase()) return true;
  const shorter = Math.min(name.length, other.length);
  return shorter >= 3 && Math.abs(name.length - other.length) <= Math.max(1, Math.floor(shorter / 3));
}
