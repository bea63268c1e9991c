/**
 * Events of the log as columns, for the archive: read from the log's own bytes into arrays that are used again and again,
 * some hundred rows at a time, so that what waits to be archived waits on disk and no object is made of it.
 */
import type { LiveColumns } from "../offline-store/event-archive.ts";
import { ByteReader } from "../schema/byte-buffer.ts";
import {
  createColumnReader,
  createRowColumns,
  type ReadIntoColumns,
  type RowColumns,
  setNull,
  setNumber,
} from "../schema/row-columns.ts";
import type { CodecColumn } from "../schema/row-codec.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { framesFrom, type SegmentsRead, type WantedFrame } from "./log-segments.ts";
import { nextTurn } from "./turns.ts";

/** What of them is read in a part of a millisecond. */
const CELLS_PER_BATCH = 4096;
const ROWS_PER_BATCH_MAX = 512;
/** Texts and bytes may be long. */
const BYTES_PER_BATCH = 256 * 1024;

/** Behind the stored columns: event time, known time, offset, id. */
const PLACE_TYPES: readonly ValueType[] = [
  { name: "timestamp" },
  { name: "timestamp" },
  { name: "int64" },
  { name: "string" },
];

/** Events of `[from, end)` in order, as `LiveEvents.read` gives them. Throws `LOG_CORRUPT`. */
export async function* columnsFrom(read: Omit<SegmentsRead, "derive">): AsyncIterableIterator<LiveColumns> {
  const batch = new ColumnBatch(read.columns);
  let written: readonly CodecColumn[] | null = null;
  let readRow: ReadIntoColumns | null = null;
  for await (const wanted of framesFrom(read)) {
    if (wanted.columns !== written) readRow = createColumnReader(read.columns, wanted.columns);
    written = wanted.columns;
    const events = new FrameReader(wanted, read.end, readRow!);
    while (!events.isDone) {
      wanted.damaged(() => events.readInto(batch));
      if (batch.isFull) {
        yield batch.taken();
        batch.clear();
      } else if (!events.isDone) await nextTurn();
    }
  }
  if (batch.rowCount > 0) yield batch.taken();
}

class ColumnBatch {
  readonly into: RowColumns;
  readonly rowsMax: number;
  readonly #storedCount: number;
  rowCount = 0;
  /** Of the log, that its rows were read from. */
  byteCount = 0;

  constructor(columns: readonly CodecColumn[]) {
    const types = [...columns.map(({ type }) => type), ...PLACE_TYPES];
    this.#storedCount = columns.length;
    this.rowsMax = Math.min(ROWS_PER_BATCH_MAX, Math.ceil(CELLS_PER_BATCH / types.length));
    this.into = createRowColumns(types, this.rowsMax);
  }

  get isFull(): boolean {
    return this.rowCount === this.rowsMax || this.byteCount >= BYTES_PER_BATCH;
  }

  clear(): void {
    this.rowCount = 0;
    this.byteCount = 0;
  }

  writePlace(at: number, eventTime: number, knownTime: number, offset: number, id: string | null): void {
    const { into } = this;
    const first = this.#storedCount;
    // A retraction has no time of its own.
    if (Number.isNaN(eventTime)) setNull(into, first, at);
    else setNumber(into, first, at, eventTime);
    setNumber(into, first + 1, at, knownTime);
    setNumber(into, first + 2, at, offset);
    (into.columns[first + 3] as Value[])[at] = id;
  }

  taken(): LiveColumns {
    return { rowCount: this.rowCount, ...this.into };
  }
}

class FrameReader {
  readonly #wanted: WantedFrame;
  readonly #end: number;
  readonly #bytes: ByteReader;
  readonly #readRow: ReadIntoColumns;
  #next: number;

  constructor(wanted: WantedFrame, end: number, readRow: ReadIntoColumns) {
    this.#wanted = wanted;
    this.#end = Math.min(end, wanted.frame.firstOffset + wanted.frame.eventCount);
    this.#bytes = new ByteReader(wanted.frame.payload);
    this.#readRow = readRow;
    this.#next = wanted.frame.firstOffset;
  }

  get isDone(): boolean {
    return this.#next >= this.#end;
  }

  /** Fills the batch as far as the frame goes, or passes over as many events that are not wanted. Throws `RangeError`. */
  readInto(batch: ColumnBatch): void {
    const { frame, from } = this.#wanted;
    const bytes = this.#bytes;
    for (let i = 0; i < batch.rowsMax && !batch.isFull && !this.isDone; i++) {
      const at = batch.rowCount;
      const began = bytes.position;
      const knownTime = bytes.float64();
      const eventTime = bytes.float64();
      const idBytes = bytes.varint();
      const id = idBytes === 0 ? null : bytes.textOf(idBytes - 1);
      this.#readRow(bytes, batch.into, at);
      const offset = this.#next++;
      // The next one takes its place.
      if (offset < from) continue;
      batch.writePlace(at, eventTime, knownTime, offset, id);
      batch.rowCount++;
      batch.byteCount += bytes.position - began;
    }
    const isWhole = this.#next === frame.firstOffset + frame.eventCount;
    if (isWhole && !bytes.atEnd) throw new RangeError("a frame holds more than its events");
  }
}
