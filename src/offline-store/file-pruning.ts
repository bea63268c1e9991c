/**
 * Files that cannot hold a wanted row, left out unopened: by the bounds of their columns that the table's log has.
 */
import { parseMicros } from "../base/micros.ts";
import type { TableFile } from "./offline-store.ts";

/** Of a column of whole numbers, or of times as microseconds. */
export interface WantedRange {
  readonly from?: number;
  readonly before?: number;
}

/** The files that may hold a row whose column lies in the range: all of which nothing is known, too. */
export function filesWithin(files: readonly TableFile[], column: string, { from, before }: WantedRange): TableFile[] {
  return files.filter(({ stats }) => {
    const min = boundOf(stats?.minValues?.[column]);
    const max = boundOf(stats?.maxValues?.[column]);
    return (
      !(before !== undefined && min !== null && min >= before) && !(from !== undefined && max !== null && max < from)
    );
  });
}

function boundOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return null;
  try {
    return parseMicros(value);
  } catch {
    return null;
  }
}
