/**
 * The bytes of one log segment: a header, then frames, one a group commit.
 *
 *     header   "ONEFLOG1" | length u32 | crc32 u32 | JSON {firstOffset, lastKnownTime, columns}
 *     frame    magic u32 | payload length u32 | events u32 | first offset f64 | crc32 of payload u32
 *              | crc32 of the 24 bytes before u32 | payload
 *     event    knownTime f64 | eventTime f64 (NaN: a retraction of the id) | id, length + 1 as varint and UTF-8 (0: none) | row
 *
 * A frame is written only once the one before it is synced. So whatever a crash leaves behind the last
 * synced frame is a damaged tail with no whole frame after it, and a damaged frame that does have a whole
 * one after it was synced once: damage, not a crash.
 */
import { crc32 } from "node:zlib";
import type { Micros } from "../base/micros.ts";
import { OnefoldError } from "../base/errors.ts";
import type { DerivedFaults } from "../fold/derive.ts";
import { ByteReader, type ByteWriter } from "../schema/byte-buffer.ts";
import type { CodecColumn, RowCodec } from "../schema/row-codec.ts";
import type { Value } from "../schema/value.ts";
import type { CheckedRow, LogEvent } from "./event.ts";

const HEADER_MAGIC = Buffer.from("ONEFLOG1", "latin1");
const FRAME_MAGIC = 0x3152464f;
export const FRAME_HEADER_BYTES = 28;

export interface SegmentHeader {
  readonly firstOffset: number;
  /** Known time of the newest event before this segment; null for none. */
  readonly lastKnownTime: number | null;
  /** Columns the rows of this segment are written with. */
  readonly columns: readonly CodecColumn[];
}

export interface Frame {
  /** Byte position in the segment. */
  readonly start: number;
  readonly end: number;
  readonly firstOffset: number;
  readonly eventCount: number;
  readonly payload: Uint8Array;
}

export function segmentName(firstOffset: number): string {
  return `${String(firstOffset).padStart(20, "0")}.log`;
}

/** First offset of a segment by its file name; null for other files. */
export function segmentOffset(name: string): number | null {
  const match = /^(\d{20})\.log$/.exec(name);
  return match === null ? null : Number(match[1]);
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const bytes = Buffer.alloc(HEADER_MAGIC.length + 8 + json.length);
  HEADER_MAGIC.copy(bytes);
  bytes.writeUInt32LE(json.length, 8);
  bytes.writeUInt32LE(crc32(json), 12);
  json.copy(bytes, 16);
  return bytes;
}

/** Null where the bytes do not begin with a whole header. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
): { readonly header: SegmentHeader; readonly end: number } | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 16 || !buffer.subarray(0, 8).equals(HEADER_MAGIC)) return null;
  const end = 16 + buffer.readUInt32LE(8);
  // The checksum of no bytes is 0: a torn header of which the rest is zeros would be whole by it.
  if (end === 16 || end > buffer.length) return null;
  const json = buffer.subarray(16, end);
  if (crc32(json) !== buffer.readUInt32LE(12)) return null;
  return { header: JSON.parse(json.toString("utf8")) as SegmentHeader, end };
}

/** Its first eight bytes are the known time, so that it can be set once it is known (`float64At`). */
export function writeEvent(row: CheckedRow, knownTime: number, codec: RowCodec, into: ByteWriter): void {
  into.float64(knownTime);
  into.float64(row.eventTime);
  if (row.id === null) into.varint(0);
  else {
    const bytes = Buffer.byteLength(row.id);
    into.varint(bytes + 1);
    into.textBytes(row.id, bytes);
  }
  codec.encode(row.row, into);
}

/** Fills in the header of a frame whose payload fills `into` from FRAME_HEADER_BYTES on. */
export function sealFrame(into: ByteWriter, firstOffset: number, eventCount: number): void {
  const frame = into.view();
  frame.writeUInt32LE(FRAME_MAGIC, 0);
  frame.writeUInt32LE(frame.length - FRAME_HEADER_BYTES, 4);
  frame.writeUInt32LE(eventCount, 8);
  frame.writeDoubleLE(firstOffset, 12);
  frame.writeUInt32LE(crc32(frame.subarray(FRAME_HEADER_BYTES)), 20);
  frame.writeUInt32LE(crc32(frame.subarray(0, 24)), 24);
}

/** The whole frame that starts at `start`, or null. */
export function frameAt(segment: Buffer, start: number): Frame | null {
  const payloadStart = start + FRAME_HEADER_BYTES;
  if (payloadStart > segment.length || segment.readUInt32LE(start) !== FRAME_MAGIC) return null;
  if (crc32(segment.subarray(start, start + 24)) !== segment.readUInt32LE(start + 24)) return null;
  const end = payloadStart + segment.readUInt32LE(start + 4);
  if (end > segment.length) return null;
  const payload = segment.subarray(payloadStart, end);
  if (crc32(payload) !== segment.readUInt32LE(start + 20)) return null;
  return {
    start,
    end,
    firstOffset: segment.readDoubleLE(start + 12),
    eventCount: segment.readUInt32LE(start + 8),
    payload,
  };
}

/** Whether any whole frame starts at `from` or later: then damage before it is no torn tail. */
export function hasFrameAfter(segment: Buffer, from: number): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(FRAME_MAGIC);
  for (let at = segment.indexOf(magic, from); at >= 0; at = segment.indexOf(magic, at + 1)) {
    if (frameAt(segment, at) !== null) return true;
  }
  return false;
}

/** Makes a stored row a whole one, in place; returns the derived columns that cannot be computed. Never throws. */
export type DeriveRow = (stored: Value[]) => DerivedFaults | null;

/** The frame's events from offset `from` on. */
export function decodeFrame(frame: Frame, from: number, codec: RowCodec, derive: DeriveRow): LogEvent[] {
  const reader = new ByteReader(frame.payload);
  const events: LogEvent[] = [];
  for (let i = 0; i < frame.eventCount; i++) {
    const offset = frame.firstOffset + i;
    const knownTime = reader.float64() as Micros;
    const eventTime = reader.float64() as Micros;
    const idBytes = reader.varint();
    const id = idBytes === 0 ? null : Buffer.from(reader.raw(idBytes - 1)).toString("utf8");
    const stored = codec.decode(reader);
    if (offset < from) continue;
    const faults = derive(stored);
    const event = { offset, knownTime, eventTime, id, row: stored };
    events.push(faults === null ? event : { ...event, faults });
  }
  if (!reader.atEnd) throw new RangeError("a frame holds more than its events");
  return events;
}

/** Known time of a frame's last event. */
export function frameKnownTime(frame: Frame, codec: RowCodec): number {
  return decodeFrame(frame, frame.firstOffset, codec, () => null).at(-1)!.knownTime;
}

export function corrupt(path: string, position: number, what: string): OnefoldError {
  return new OnefoldError("LOG_CORRUPT", `the event log is damaged: ${what}`, {
    where: `${path}, byte ${position}`,
    hint: "restore the file from a copy, or rebuild the data folder from the offline tables",
  });
}
