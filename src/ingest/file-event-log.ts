/**
 * The event log in segmented files, with group commit.
 *
 *     append ─▶ encode into the open group ─▶ one write + one sync for all that came meanwhile ─▶ resolve
 *
 * While one group is being synced the next one gathers. Offsets and known times are given out when a row
 * enters a group, in call order, so the order of the log is the order of the calls. If a write fails, no
 * row of that group or of any later one is acknowledged, the file is cut back to its last synced byte, and
 * the log refuses to go on until it is opened anew.
 */
import { join } from "node:path";
import { storageCode } from "../base/disk-full.ts";
import { asOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { LiveColumns } from "../offline-store/event-archive.ts";
import { ByteWriter } from "../schema/byte-buffer.ts";
import { type CodecColumn, createRowCodec, type RowCodec } from "../schema/row-codec.ts";
import type { CheckedRow, LogEvent } from "./event.ts";
import type { EventLog } from "./event-log.ts";
import { columnsFrom } from "./log-columns.ts";
import {
  type DeriveRow,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  sealFrame,
  segmentName,
  writeEvent,
} from "./log-segment.ts";
import { type LogEnd, recoverLog, type SegmentIndex, segmentsFrom } from "./log-segments.ts";
import type { LogFile, LogStorage } from "./storage.ts";

const SEGMENT_BYTES_MAX = 32 * 1024 * 1024;
const GROUP_BYTES_MAX = 4 * 1024 * 1024;
const READ_BATCH_EVENTS = 1000;
/** Rows encoded before other work gets its turn. */
export const ROWS_PER_TURN_MAX = 2000;
/** A place is remembered for every so many bytes of a segment. */
const INDEX_STEP_BYTES = 256 * 1024;

export interface EventLogOptions {
  readonly storage: LogStorage;
  /** The partition's folder: `log/<source>/<partition>`. */
  readonly folder: string;
  /** The source's stored columns, in order. */
  readonly columns: readonly CodecColumn[];
  readonly derive: DeriveRow;
  readonly segmentBytesMax?: number;
}

/**
 * Opens or creates the log. A torn tail is cut off; throws `LOG_CORRUPT`, naming file and byte, for damage
 * before the end, and `STORAGE_FAILED` when the disk does.
 */
export async function openEventLog(options: EventLogOptions): Promise<FileEventLog> {
  const codec = createRowCodec(options.columns);
  try {
    const end = await recoverLog(options.storage, options.folder, options.columns);
    return new FileEventLog(options, codec, end);
  } catch (cause) {
    throw cause instanceof OnefoldError ? cause : storageFailed(options.folder, cause);
  }
}

interface Group {
  readonly writer: ByteWriter;
  readonly firstOffset: number;
  events: number;
  /** Known time of the last row in it. */
  lastKnownTime: number;
  readonly waiting: { resolve(): void; reject(error: OnefoldError): void }[];
}

export class FileEventLog implements EventLog {
  readonly #options: EventLogOptions;
  readonly #codec: RowCodec;
  readonly #segments: SegmentIndex[];
  readonly #spareWriters: ByteWriter[] = [];
  #groups: Group[] = [];
  #writing: Promise<void> | null = null;
  #file: LogFile | null = null;
  #failure: OnefoldError | null = null;
  #closed = false;
  #nextOffset: number;
  #lastKnownTime: number;
  #durableEnd: number;
  #durableKnownTime: number;
  #pendingBytes = 0;

  constructor(options: EventLogOptions, codec: RowCodec, end: LogEnd) {
    this.#options = options;
    this.#codec = codec;
    this.#segments = [...end.segments];
    this.#nextOffset = end.nextOffset;
    this.#durableEnd = end.nextOffset;
    this.#lastKnownTime = end.lastKnownTime;
    this.#durableKnownTime = end.lastKnownTime;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get lastKnownTime(): number {
    return this.#lastKnownTime;
  }

  /** Offset behind the last synced event. */
  get durableEnd(): number {
    return this.#durableEnd;
  }

  /** Bytes encoded and not yet synced. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The error that made the log refuse appends, or null. */
  get failure(): OnefoldError | null {
    return this.#failure;
  }

  /** Makes sure no later event gets an earlier known time. Not durable by itself. */
  raiseKnownTime(time: number): void {
    if (time > this.#lastKnownTime) this.#lastKnownTime = time;
  }

  async append(rows: readonly CheckedRow[], now: Micros): Promise<readonly LogEvent[]> {
    this.#refuseIfStopped();
    if (rows.length === 0) return [];
    if (rows.length > ROWS_PER_TURN_MAX) return this.#appendInTurns(rows, now);
    const knownTime = Math.max(now, this.#lastKnownTime) as Micros;
    const group = this.#openGroup();
    const lengthBefore = group.writer.length;
    const events: LogEvent[] = [];
    try {
      for (const row of rows) {
        writeEvent(row, knownTime, this.#codec, group.writer);
        const offset = group.firstOffset + group.events + events.length;
        events.push({ row: row.row, eventTime: row.eventTime, id: row.id, offset, knownTime });
      }
    } catch (error) {
      group.writer.rewind(lengthBefore);
      throw asOnefoldError(error);
    }
    this.#pendingBytes += group.writer.length - lengthBefore;
    await this.#queued(group, rows.length, knownTime);
    return events;
  }

  /** A group of its own, which gets its offsets and known time once it is whole. */
  async #appendInTurns(rows: readonly CheckedRow[], now: Micros): Promise<readonly LogEvent[]> {
    const writer = new ByteWriter(64 * 1024);
    writer.skip(FRAME_HEADER_BYTES);
    const places: number[] = [];
    for (const [i, row] of rows.entries()) {
      if (i > 0 && i % ROWS_PER_TURN_MAX === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      places.push(writer.length);
      try {
        writeEvent(row, 0, this.#codec, writer);
      } catch (error) {
        throw asOnefoldError(error);
      }
    }
    this.#refuseIfStopped();
    const knownTime = Math.max(now, this.#lastKnownTime) as Micros;
    for (const place of places) writer.float64At(place, knownTime);
    const firstOffset = this.#nextOffset;
    const group: Group = { writer, firstOffset, events: 0, lastKnownTime: knownTime, waiting: [] };
    this.#groups.push(group);
    this.#pendingBytes += writer.length - FRAME_HEADER_BYTES;
    await this.#queued(group, rows.length, knownTime);
    return rows.map(({ row, eventTime, id }, i) => ({ row, eventTime, id, offset: firstOffset + i, knownTime }));
  }

  /** Counts rows that were written into a group of the queue; resolves once they are durable. */
  async #queued(group: Group, rowCount: number, knownTime: number): Promise<void> {
    group.events += rowCount;
    group.lastKnownTime = knownTime;
    this.#nextOffset += rowCount;
    this.#lastKnownTime = knownTime;
    const durable = new Promise<void>((resolve, reject) => group.waiting.push({ resolve, reject }));
    this.#writing ??= this.#writeGroups();
    await durable;
  }

  #refuseIfStopped(): void {
    if (this.#failure !== null) throw this.#failure;
    if (!this.#closed) return;
    throw new OnefoldError("STORAGE_FAILED", "the event log is closed", { where: this.#options.folder });
  }

  async *read(from: number, batchSize: number = READ_BATCH_EVENTS): AsyncIterableIterator<readonly LogEvent[]> {
    const end = this.#durableEnd;
    let batch: LogEvent[] = [];
    const { storage, folder, columns, derive } = this.#options;
    for await (const events of segmentsFrom({
      storage,
      folder,
      columns,
      derive,
      segments: this.#segments,
      from,
      end,
    })) {
      for (const event of events) {
        batch.push(event);
        if (batch.length < batchSize) continue;
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) yield batch;
  }

  /** As columns: events of `[from, end)`, which must be durable; a batch is good until the next is asked for. */
  columns(from: number, end: number): AsyncIterableIterator<LiveColumns> {
    const { storage, folder, columns } = this.#options;
    return columnsFrom({ storage, folder, columns, segments: this.#segments, from, end });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#file?.close().catch(() => undefined);
    this.#file = null;
  }

  #openGroup(): Group {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.writer.length < GROUP_BYTES_MAX) return last;
    const writer = this.#spareWriters.pop() ?? new ByteWriter(64 * 1024);
    writer.clear();
    writer.skip(FRAME_HEADER_BYTES);
    const group: Group = {
      writer,
      firstOffset: this.#nextOffset,
      events: 0,
      lastKnownTime: this.#lastKnownTime,
      waiting: [],
    };
    this.#groups.push(group);
    return group;
  }

  async #writeGroups(): Promise<void> {
    // One turn's wait, so that all appends of the present turn share the sync.
    await Promise.resolve();
    for (let group = this.#groups.shift(); group !== undefined; group = this.#groups.shift()) {
      const bytes = group.writer.length - FRAME_HEADER_BYTES;
      try {
        await this.#writeGroup(group);
      } catch (cause) {
        await this.#fail(cause, group);
        break;
      }
      this.#durableEnd = group.firstOffset + group.events;
      this.#pendingBytes -= bytes;
      // One that grew for a large push is not held on to.
      if (this.#spareWriters.length < 2 && bytes <= 2 * GROUP_BYTES_MAX) this.#spareWriters.push(group.writer);
      for (const { resolve } of group.waiting) resolve();
    }
    this.#writing = null;
  }

  async #writeGroup(group: Group): Promise<void> {
    const segment = await this.#segmentForWriting(group.firstOffset);
    sealFrame(group.writer, group.firstOffset, group.events);
    const frame = group.writer.view();
    await this.#file!.append(frame);
    await this.#file!.sync();
    const lastPlace = segment.places.at(-1);
    if (lastPlace === undefined || segment.bytes - lastPlace.position >= INDEX_STEP_BYTES) {
      segment.places.push({ offset: group.firstOffset, position: segment.bytes });
    }
    segment.bytes += frame.length;
    this.#durableKnownTime = group.lastKnownTime;
  }

  async #segmentForWriting(firstOffset: number): Promise<SegmentIndex> {
    const { storage, folder, columns, segmentBytesMax = SEGMENT_BYTES_MAX } = this.#options;
    const last = this.#segments.at(-1);
    if (last !== undefined && last.writable && last.bytes < segmentBytesMax) {
      this.#file ??= await storage.open(join(folder, last.name));
      return last;
    }
    await this.#file?.close();
    this.#file = null;
    const name = segmentName(firstOffset);
    const lastKnownTime = Number.isFinite(this.#durableKnownTime) ? this.#durableKnownTime : null;
    const header = encodeSegmentHeader({
      firstOffset,
      lastKnownTime,
      columns: columns.map(({ name, type }) => ({ name, type })),
    });
    const file = await storage.open(join(folder, name));
    this.#file = file;
    // The header is synced by itself: a file with a frame has a whole header.
    await file.append(header);
    await file.sync();
    await storage.syncFolder(folder);
    const segment: SegmentIndex = { name, firstOffset, bytes: header.length, writable: true, places: [] };
    this.#segments.push(segment);
    return segment;
  }

  async #fail(cause: unknown, group: Group): Promise<void> {
    const failure = storageFailed(this.#options.folder, cause);
    this.#failure = failure;
    const { storage, folder } = this.#options;
    const last = this.#segments.at(-1);
    // Best effort: a group that was refused should not come back at the next opening.
    if (last !== undefined) await storage.truncate(join(folder, last.name), last.bytes).catch(() => undefined);
    for (const { waiting } of [group, ...this.#groups]) for (const { reject } of waiting) reject(failure);
    this.#groups = [];
    this.#nextOffset = this.#durableEnd;
    this.#pendingBytes = 0;
  }
}

function storageFailed(folder: string, cause: unknown): OnefoldError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = storageCode(cause);
  return new OnefoldError(code, `the event log cannot be written: ${message}`, {
    where: folder,
    hint: `${code === "DISK_FULL" ? "make room: it goes on by itself" : "repair the disk, then restart"}; what was acknowledged is safe`,
    cause,
  });
}
