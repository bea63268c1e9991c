/**
 * An event as the platform holds it once a door has accepted it.
 */
import type { Micros } from "../base/micros.ts";
import type { DerivedFaults } from "../fold/derive.ts";
import type { Row } from "../schema/value.ts";

/** A row that passed its source's checks, not yet in the log. */
export interface CheckedRow {
  /** Stored columns in schema order, then derived columns. */
  readonly row: Row;
  readonly eventTime: Micros;
  readonly id: string | null;
}

/** A record of the log that takes back the events of this id before it: no row, and no time of its own. */
export function retractionOf(id: string, storedColumnCount: number): CheckedRow {
  return { row: Array.from<null>({ length: storedColumnCount }).fill(null), eventTime: Number.NaN as Micros, id };
}

export function isRetraction({ eventTime, id }: Pick<CheckedRow, "eventTime" | "id">): boolean {
  return Number.isNaN(eventTime) && id !== null;
}

/** What is left of a record that was erased (`log-erasure.ts`): its offset and its known time. */
export function isErased({ eventTime, id }: Pick<CheckedRow, "eventTime" | "id">): boolean {
  return Number.isNaN(eventTime) && id === null;
}

/** An event with its place in its partition. Only the stored columns are written; derived ones are recomputed. */
export interface LogEvent extends CheckedRow {
  readonly offset: number;
  readonly knownTime: Micros;
  /** Derived columns declared after the event was let in that cannot be computed of it: they are null in `row`. */
  readonly faults?: DerivedFaults;
}
