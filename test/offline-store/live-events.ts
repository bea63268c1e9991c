/**
 * Live events given to an archive one by one, and read back of what an archive is given.
 */
import type { HistoryArchive } from "../../src/offline-store/delta-event-archive.ts";
import type { LiveColumns, LiveEvents } from "../../src/offline-store/event-archive.ts";
import { batchOfRows } from "../../src/offline-store/row-batch.ts";
import type { Column, Row, Value } from "../../src/schema/value.ts";

export interface ArchivedEvent {
  readonly offset: number;
  /** NaN for a retraction. */
  readonly eventTime: number;
  readonly knownTime: number;
  readonly id: string | null;
  /** Begins with the stored columns in schema order. */
  readonly row: Row;
}

const PLACE_COLUMNS = 4;
const ROWS_PER_BATCH = 3;

export function appendLive(archive: HistoryArchive, events: readonly ArchivedEvent[]): Promise<void> {
  return archive.appendLive(liveEvents(archive.columns, events));
}

/** `columns` are the archive's. */
function liveEvents(columns: readonly Column[], events: readonly ArchivedEvent[]): LiveEvents {
  const types = columns.map(({ type }) => type);
  const width = columns.length - PLACE_COLUMNS;
  return {
    end: (events.at(-1)?.offset ?? -1) + 1,
    async *read(from) {
      const wanted = events.filter(({ offset }) => offset >= from);
      for (let i = 0; i < wanted.length; i += ROWS_PER_BATCH) {
        const rows = wanted
          .slice(i, i + ROWS_PER_BATCH)
          .map(({ row, eventTime, knownTime, offset, id }) => [
            ...row.slice(0, width),
            Number.isNaN(eventTime) ? null : eventTime,
            knownTime,
            offset,
            id,
          ]);
        yield batchOfRows(types, rows);
      }
    },
  };
}

/** Numbers where columns hold some: a bool is 0 or 1. */
export function eventsOf({ rowCount, columns, validity }: LiveColumns): ArchivedEvent[] {
  const valueAt = (column: number, i: number): Value =>
    validity[column]?.[i] === 0 ? null : (columns[column]![i] ?? null);
  const width = columns.length - PLACE_COLUMNS;
  return Array.from({ length: rowCount }, (_, i) => ({
    row: Array.from({ length: width }, (_value, column) => valueAt(column, i)),
    eventTime: (valueAt(width, i) as number | null) ?? Number.NaN,
    knownTime: valueAt(width + 1, i) as number,
    offset: valueAt(width + 2, i) as number,
    id: valueAt(width + 3, i) as string | null,
  }));
}
