/**
 * The segments of one log: what a crash left of them is made whole, and events are read back in order.
 */
import { join } from "node:path";
import { type CodecColumn, createRowCodec, type RowCodec } from "../schema/row-codec.ts";
import { sameType } from "../schema/value.ts";
import type { LogEvent } from "./event.ts";
import {
  corrupt,
  decodeFrame,
  decodeSegmentHeader,
  type Frame,
  frameAt,
  frameKnownTime,
  type DeriveRow,
  hasFrameAfter,
  type SegmentHeader,
  segmentOffset,
} from "./log-segment.ts";
import type { LogStorage } from "./storage.ts";

const READ_CHUNK_BYTES = 1024 * 1024;

export interface SegmentIndex {
  readonly name: string;
  readonly firstOffset: number;
  /** Durable length; Infinity for a segment that is no longer written to and has not been measured. */
  bytes: number;
  /** Whether rows of the present columns can be appended. */
  readonly writable: boolean;
  /** Some of the frames: their first offset and byte position, in order. */
  readonly places: { readonly offset: number; readonly position: number }[];
}

export interface LogEnd {
  readonly segments: readonly SegmentIndex[];
  readonly nextOffset: number;
  readonly lastKnownTime: number;
}

/** Finds the log's end. Cuts off a torn tail, syncs what stands, throws `LOG_CORRUPT` for damage before the end. */
export async function recoverLog(
  storage: LogStorage,
  folder: string,
  columns: readonly CodecColumn[],
): Promise<LogEnd> {
  const names = (await storage.list(folder)).filter((name) => segmentOffset(name) !== null);
  const older: SegmentIndex[] = names.map((name) => {
    return { name, firstOffset: segmentOffset(name)!, bytes: Number.POSITIVE_INFINITY, writable: false, places: [] };
  });
  let headerKnownTime: number | null = null;
  let mayBeTorn = true;
  for (let last = older.pop(); last !== undefined; last = older.pop()) {
    const path = join(folder, last.name);
    const bytes = Buffer.from(await storage.read(path));
    const begin = decodeSegmentHeader(bytes);
    if (begin === null && (!mayBeTorn || hasFrameAfter(bytes, 0))) throw corrupt(path, 0, "a segment's header");
    const scan = begin === null ? null : scanFrames(path, bytes, begin.header, begin.end, mayBeTorn);
    if (begin !== null && scan !== null && scan.frames > 0) {
      if (scan.end < bytes.length) await storage.truncate(path, scan.end);
      await syncFile(storage, path);
      await storage.syncFolder(folder);
      const segment: SegmentIndex = {
        name: last.name,
        firstOffset: last.firstOffset,
        bytes: scan.end,
        writable: mayBeTorn && sameColumns(begin.header.columns, columns),
        places: scan.places,
      };
      const lastKnownTime = Math.max(scan.lastKnownTime, headerKnownTime ?? Number.NEGATIVE_INFINITY);
      return { segments: [...older, segment], nextOffset: scan.nextOffset, lastKnownTime };
    }
    // A segment that was begun and never written to: the one before it is the last.
    headerKnownTime ??= begin?.header.lastKnownTime ?? null;
    await storage.remove(path);
    await storage.syncFolder(folder);
    mayBeTorn = false;
  }
  return { segments: [], nextOffset: 0, lastKnownTime: Number.NEGATIVE_INFINITY };
}

interface FrameScan {
  readonly frames: number;
  readonly end: number;
  readonly nextOffset: number;
  readonly lastKnownTime: number;
  readonly places: { offset: number; position: number }[];
}

const PLACE_STEP_BYTES = 256 * 1024;

function scanFrames(path: string, bytes: Buffer, header: SegmentHeader, from: number, mayBeTorn: boolean): FrameScan {
  const places: { offset: number; position: number }[] = [];
  let nextOffset = header.firstOffset;
  let position = from;
  let frames = 0;
  let last = null;
  while (position < bytes.length) {
    const frame = frameAt(bytes, position);
    if (frame === null) {
      if (!mayBeTorn || hasFrameAfter(bytes, position + 1)) throw corrupt(path, position, "a frame before the end");
      break;
    }
    if (frame.firstOffset !== nextOffset) throw corrupt(path, position, `offset ${nextOffset} is missing`);
    const lastPlace = places.at(-1);
    if (lastPlace === undefined || position - lastPlace.position >= PLACE_STEP_BYTES) {
      places.push({ offset: nextOffset, position });
    }
    frames++;
    nextOffset += frame.eventCount;
    position = frame.end;
    last = frame;
  }
  const codec = createRowCodec(header.columns);
  const lastKnownTime = last === null ? Number.NEGATIVE_INFINITY : frameKnownTime(last, codec);
  return { frames, end: position, nextOffset, lastKnownTime, places };
}

export interface SegmentsRead {
  readonly storage: LogStorage;
  readonly folder: string;
  readonly columns: readonly CodecColumn[];
  readonly derive: DeriveRow;
  readonly segments: readonly SegmentIndex[];
  /** The first offset wanted and the one behind the last. */
  readonly from: number;
  readonly end: number;
}

/** Events of `[from, end)` in order, a frame's worth at a time. Throws `LOG_CORRUPT`. */
export async function* segmentsFrom(read: SegmentsRead): AsyncIterableIterator<LogEvent[]> {
  let codec: RowCodec | null = null;
  let written: readonly CodecColumn[] | null = null;
  for await (const { frame, from, columns, damaged } of framesFrom(read)) {
    if (columns !== written) codec = createRowCodec(read.columns, columns);
    written = columns;
    const events = damaged(() => decodeFrame(frame, from, codec!, read.derive));
    yield events.at(-1)!.offset < read.end ? events : events.filter(({ offset }) => offset < read.end);
  }
}

/** A frame of which some events are wanted. */
export interface WantedFrame {
  readonly frame: Frame;
  /** The first event that is wanted; the last is the frame's, or the one before the end that is read to. */
  readonly from: number;
  /** Columns its rows are written with; the same array for all frames of a segment. */
  readonly columns: readonly CodecColumn[];
  /** Does what decodes the frame; a frame that ends too early or too late is `LOG_CORRUPT`. */
  damaged<T>(decode: () => T): T;
}

/** The frames with the events of `[from, end)`, in order and without a gap; none without one of them. Throws `LOG_CORRUPT`. */
export async function* framesFrom(read: Omit<SegmentsRead, "derive">): AsyncIterableIterator<WantedFrame> {
  const { segments, end } = read;
  let next = read.from;
  // The list grows while we read; what it holds now reaches to `end`.
  const present = segments.map((segment) => ({ ...segment, places: segment.places.slice() }));
  let index = present.findLastIndex((segment) => segment.firstOffset <= next);
  if (next < end && index < 0) throw corrupt(read.folder, 0, `offset ${next} is missing`);
  for (; next < end && index < present.length; index++) {
    for await (const wanted of segmentFrames(read, present[index]!, next)) {
      const { frame } = wanted;
      if (wanted.from !== next) throw corrupt(join(read.folder, present[index]!.name), 0, `offset ${next} is missing`);
      yield wanted;
      next = frame.firstOffset + frame.eventCount;
      if (next >= end) return;
    }
  }
  if (next < end) throw corrupt(read.folder, 0, `offset ${next} is missing`);
}

async function* segmentFrames(
  read: Omit<SegmentsRead, "derive">,
  segment: SegmentIndex,
  first: number,
): AsyncIterableIterator<WantedFrame> {
  const path = join(read.folder, segment.name);
  const start = await segmentHeader(read.storage, path);
  const { columns } = start.header;
  let position = segment.places.findLast((place) => place.offset <= first)?.position ?? start.end;
  let chunkBytes = READ_CHUNK_BYTES;
  while (position < segment.bytes) {
    const wanted = Math.min(chunkBytes, segment.bytes - position);
    const chunk = bufferOf(await read.storage.read(path, position, wanted));
    const reachedEnd = chunk.length < wanted || position + chunk.length >= segment.bytes;
    let at = 0;
    for (
      let frame = frameAt(chunk, 0);
      frame !== null && at < chunk.length;
      frame = at < chunk.length ? frameAt(chunk, at) : null
    ) {
      const place = position + at;
      at = frame.end;
      const from = Math.max(frame.firstOffset, first);
      if (from >= frame.firstOffset + frame.eventCount) continue;
      yield { frame, from, columns, damaged: (decode) => orDamaged(path, place, decode) };
    }
    position += at;
    if (at === chunk.length && reachedEnd) return;
    if (at > 0) continue;
    if (reachedEnd) throw corrupt(path, position, "a frame before the end");
    chunkBytes *= 2;
  }
}

function orDamaged<T>(path: string, position: number, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw corrupt(path, position, "a frame's events");
  }
}

/** The same memory. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function segmentHeader(storage: LogStorage, path: string): Promise<{ header: SegmentHeader; end: number }> {
  for (let length = 16 * 1024; ; length *= 4) {
    const bytes = await storage.read(path, 0, length);
    const begin = decodeSegmentHeader(bytes);
    if (begin !== null) return begin;
    if (bytes.length < length) throw corrupt(path, 0, "a segment's header");
  }
}

async function syncFile(storage: LogStorage, path: string): Promise<void> {
  const file = await storage.open(path);
  await file.sync();
  await file.close();
}

function sameColumns(a: readonly CodecColumn[], b: readonly CodecColumn[]): boolean {
  return (
    a.length === b.length && a.every((column, i) => column.name === b[i]!.name && sameType(column.type, b[i]!.type))
  );
}
