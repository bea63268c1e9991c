/**
 * The newest value of a column among rows, as a cursor: compared by the column's type, sent as the API wrote it.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { StreamDefinition } from "../../define/definition.ts";
import type { PollCursor, PollDefinition } from "../../define/poll-definition.ts";
import { checkValue } from "../../schema/check-value.ts";
import { namesOf, type ValueType } from "../../schema/value.ts";
import { at } from "./answer-rows.ts";
import type { Cursor } from "./poll-state.ts";

type ColumnCursor = Extract<PollCursor, { readonly kind: "column" }>;
type Comparable = number | string;

export interface NewestValue {
  /**
   * The newer of the two: `before`, or that of a row (`picked` is what the door was given). Of a row that the door
   * refused, only a time that can be one counts: a wrong value may be beyond all that is to come.
   */
  newer(before: Cursor | null, row: unknown, picked: unknown, refusedAt: number | null): Cursor | null;
}

export function newestValue(source: StreamDefinition, poll: PollDefinition, cursor: ColumnCursor): NewestValue {
  const stored = source.columns.find(({ name }) => name === cursor.column)!;
  const { type } = stored;
  const column = poll.columns.find(({ name }) => name === cursor.column);
  const unit = column !== undefined && "unit" in column ? column.unit : undefined;
  const rawOf = (row: unknown, picked: unknown): unknown =>
    column !== undefined && "parts" in column
      ? at(picked, [cursor.column])
      : (column === undefined ? namesOf(stored).map((name) => [name]) : [column.path])
          .map((path) => at(row, path))
          .find((value) => value !== undefined);
  const comparableAt = (picked: unknown, mayBeWrong: boolean): Comparable | null => {
    try {
      return checkValue(at(picked, [cursor.column]), type, { allowNonFinite: true }) as Comparable | null;
    } catch (error) {
      if (mayBeWrong) return null;
      throw error;
    }
  };
  return {
    newer(before, row, picked, refusedAt) {
      const value = comparableAt(picked, refusedAt !== null);
      if (refusedAt !== null && (type.name !== "timestamp" || Number(value) > refusedAt + source.maxFutureMicros)) {
        return before;
      }
      if (value === null || Number.isNaN(value)) return before;
      if (before !== null && before.newest !== null && !isNewer(value, before.newest, type)) return before;
      const raw = rawOf(row, picked);
      const { lookbackMicros } = cursor;
      if (lookbackMicros === undefined) return { sent: String(raw), newest: value };
      const back = (value as number) - lookbackMicros;
      return {
        sent: unit === undefined ? formatMicros(back as Micros) : String(back / MICROS_PER_UNIT[unit]),
        newest: value,
      };
    },
  };
}

const MICROS_PER_UNIT = { s: 1_000_000, ms: 1000, us: 1 } as const;

function isNewer(value: Comparable, than: Comparable, type: ValueType): boolean {
  if (type.name === "int64" && type.wide === true) return BigInt(value) > BigInt(than);
  return value > than;
}
